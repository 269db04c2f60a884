"""Exports in lower precisions: smaller on disk, and the answers of the model in that precision from every loader."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.export.graph.int8_weight import Int8Weight
from kerasbert.models import BertSequenceClassifier, in_precision
from kerasbert.models.precision import RoundedWeight

TEXTS = ["The good day.", "bad", "play playing the bad day"]
# Wide enough that weights, and not names, fill the files.
WIDE = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 1}


@pytest.fixture(scope="module")
def model(make_backbone):
    return BertSequenceClassifier(make_backbone(**WIDE), num_labels=3)


def size_of(folder):
    return sum(path.stat().st_size for path in (folder / "variables").glob("*.data-*"))


@pytest.mark.parametrize(("precision", "share"), [("bfloat16", 0.52), ("int8", 0.4)])
def test_a_lower_precision_takes_less_space_and_answers_alike_everywhere(
    model, text_to_inputs, native, tmp_path, precision, share
):
    options = {"warm_up": None, "precision": precision, "min_serving_version": "2.12"}
    folder = export.save(model, tmp_path / precision, text_to_inputs, **options)
    assert size_of(folder) < share * sum(weight.numpy().nbytes for weight in model.weights)

    expected = in_precision(model, precision).model(text_to_inputs(TEXTS), training=False)
    # bfloat16 has 8 bits; the order of its sums differs between the padded model and the exported one.
    tolerance = {"bfloat16": 2e-2, "int8": 1e-5}[precision] * np.abs(expected).max()
    loaded = tf.saved_model.load(str(folder))
    answer = loaded.signatures["text"](text=tf.constant(TEXTS))
    np.testing.assert_allclose(answer["logits"], expected, atol=tolerance)
    replies = native(folder, [("text", {"text": TEXTS}), ("embed", {"text": TEXTS}), ("attention", {"text": TEXTS})])
    np.testing.assert_allclose(replies[0]["logits"], answer["logits"], atol=tolerance)
    embedding = loaded.signatures["embed"](text=tf.constant(TEXTS))["embedding"]
    np.testing.assert_allclose(replies[1]["embedding"], embedding, atol=tolerance)
    assert not (replies[1]["embedding"] == 0).all()
    np.testing.assert_allclose(replies[2]["attention"].sum(-1), 1, atol=1e-3)

    card = json.loads((folder / "assets" / "model_card.json").read_text())["model"]["precision"]
    assert card["name"] == precision
    assert 0 < card["compared_with_float32"]["difference"] < 0.1
    assert f"Precision: {precision}: on 64 texts" in (folder / "assets.extra" / "README.md").read_text()


def saved_matrix(folder, rounded):
    root, weight = tf.Module(), Int8Weight(rounded)
    root.weights = [weight, *weight.stored]
    tf.saved_model.save(root, str(folder), tf.function(lambda: {"matrix": weight.read()}, input_signature=[]))
    return tf.saved_model.load(str(folder))


def test_int8_weights_of_several_models_in_one_process_stay_apart(tmp_path):
    matrix = np.array([[1.0, -0.5], [0.25, 0.0]], "float32")
    rounded = [RoundedWeight.of(matrix * factor, axis=0) for factor in (1, 2, 1)]
    loaded = [saved_matrix(tmp_path / str(index), weight) for index, weight in enumerate(rounded)]
    del loaded[0]  # the last one has the same numbers
    for module, weight in zip(loaded, rounded[1:], strict=True):
        np.testing.assert_array_equal(module.signatures["serving_default"]()["matrix"], weight.values())


def test_a_precision_that_does_not_exist_writes_nothing(model, text_to_inputs, tmp_path):
    with pytest.raises(ValueError, match=r"`precision` must be one of"):
        export.save(model, tmp_path / "served", text_to_inputs, precision="int4")
    assert not list(tmp_path.rglob("*.pb"))
