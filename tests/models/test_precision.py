"""Models in lower precisions: what is rounded, how far the answers move, and what stays as it was."""

import keras
import numpy as np
import pytest

from kerasbert.errors import BadInputError
from kerasbert.models import (
    BertBackbone,
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
    in_precision,
    precision_choice,
)
from kerasbert.models.inference import compiled_forward
from kerasbert.models.precision_choice import choose_precision, compare, sample_texts

pytestmark = pytest.mark.backend
MODELS = {
    "backbone": lambda backbone: backbone,
    "sentence_encoder": lambda backbone: BertSentenceEncoder(backbone, projections=[{"units": 5}]),
    "classifier": lambda backbone: BertSequenceClassifier(backbone, num_labels=3),
    "token_classifier": lambda backbone: BertTokenClassifier(backbone, num_labels=3),
    "span_predictor": BertSpanPredictor,
    "pretrainer": BertPretrainer,
    "multiple_choice": BertMultipleChoice,
}


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")), np.float64)


def answers(model, inputs):
    if isinstance(model, BertMultipleChoice):
        inputs = {name: np.stack([values, values[::-1]], axis=1) for name, values in inputs.items()}
    if isinstance(model, BertPretrainer):
        inputs = {**inputs, "mask_positions": np.zeros((3, 1), "int32")}
    return [numpy(output) for output in keras.tree.flatten(model(inputs, training=False))]


@pytest.fixture(params=MODELS)
def model(request, calm_config):
    keras.utils.set_random_seed(3)
    model = MODELS[request.param](BertBackbone.from_config(calm_config))
    model.set_weights([weight + 0.2 * np.random.randn(*weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_lower_precision_answers_nearly_the_same(model, inputs, precision):
    before = [np.array(weight) for weight in model.get_weights()]
    reduced = in_precision(model, precision).model
    assert type(reduced) is type(model)
    encoder = getattr(reduced, "backbone", reduced)
    expected_dtype = "bfloat16" if precision == "bfloat16" else "float32"
    assert {block.compute_dtype for block in encoder.encoder_blocks} == {expected_dtype}
    if reduced is not encoder:
        assert {output.dtype for output in keras.tree.flatten(reduced.output)} == {"float32"}
    for exact, rounded in zip(answers(model, inputs), answers(reduced, inputs), strict=True):
        assert 0 < np.linalg.norm(exact - rounded) < 0.05 * np.linalg.norm(exact)
    for weight, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_int8_rounds_to_the_nearest_of_255_numbers_per_output(calm_config):
    backbone = BertBackbone.from_config(calm_config)
    reduced = in_precision(backbone, "int8")
    originals = {variable.path: numpy(variable) for variable in backbone.weights}
    assert len(reduced.rounded) == 1 + 6 * calm_config.num_hidden_layers
    for variable, weight in reduced.rounded:
        original = originals[variable.path]
        assert weight.numbers.dtype == np.int8
        assert weight.numbers.min() >= -127
        assert weight.scale.shape == ((30, 1) if "embeddings" in variable.path else (1, original.shape[1]))
        np.testing.assert_array_equal(numpy(variable), weight.values())
        assert (np.abs(original - weight.values()) <= 0.5001 * weight.scale).all()
    kept = {variable.path for variable in reduced.model.weights} - {variable.path for variable, _ in reduced.rounded}
    by_path = {variable.path: variable for variable in reduced.model.weights}
    for path in kept:
        np.testing.assert_array_equal(numpy(by_path[path]), originals[path])


def test_a_weight_of_zeros_stays_zero(calm_config):
    backbone = BertBackbone.from_config(calm_config)
    backbone.set_weights([0 * weight for weight in backbone.get_weights()])
    reduced = in_precision(backbone, "int8")
    assert all((weight.values() == 0).all() for _, weight in reduced.rounded)


def test_float32_is_the_model_itself_or_a_copy_of_one_in_another_precision(calm_config, inputs):
    backbone = BertBackbone.from_config(calm_config)
    assert in_precision(backbone, "float32").model is backbone
    mixed = BertSequenceClassifier(BertBackbone.from_config(calm_config, dtype="mixed_bfloat16"), num_labels=2)
    exact = in_precision(mixed, "float32").model
    assert exact.backbone.compute_dtype == "float32"
    for ours, theirs in zip(exact.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert compare(exact, mixed, [inputs]).difference < 0.05


def test_an_unknown_precision_is_refused(calm_config):
    with pytest.raises(BadInputError, match=r"`precision` must be one of .*'int8'.* Received: precision='int4'"):
        in_precision(BertBackbone.from_config(calm_config), "int4")


class Preprocessing:
    """Numbers instead of words: the choice of a precision only needs ids."""

    class vocabulary:  # noqa: N801, the name of an attribute
        pieces = ("[PAD]", *map(str, range(1, 30)))

    def __call__(self, texts):
        rows = [[int(word) for word in text.split()][:10] for text in texts]
        width = max(map(len, rows))
        ids = np.array([row + [0] * (width - len(row)) for row in rows], "int32")
        return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": (ids > 0).astype("int32")}


def test_auto_is_the_faster_one_and_says_why(calm_config):
    backbone = BertBackbone.from_config(calm_config)
    chosen = choose_precision(backbone, "auto", Preprocessing())
    assert chosen.comparison.texts == 64
    if chosen.comparison.speedup >= 1.1:
        assert (chosen.reduced.precision, chosen.text[:10]) == ("bfloat16", "bfloat16: ")
    else:
        assert chosen.reduced.model is backbone
        assert chosen.text.startswith("float32, because bfloat16 takes ")


def test_a_comparison_counts_equal_labels(calm_config):
    model = BertSequenceClassifier(BertBackbone.from_config(calm_config), num_labels=3)
    texts = ["1 2 3", "4 5", "6", "7 8 9"]
    chosen = choose_precision(model, "bfloat16", Preprocessing(), texts)
    # The same functions and the same batch, sorted by length: other sums round differently, which may decide a label.
    inputs = Preprocessing()(sorted(texts, key=len))
    exact, rounded = (numpy(compiled_forward(m)(inputs)).argmax(-1) for m in (model, chosen.reduced.model))
    assert chosen.comparison.texts == 4
    assert chosen.comparison.same_label_share == np.mean(exact == rounded)
    assert "have the same label" in chosen.text


def test_a_precision_that_changes_the_answers_too_much_is_refused(calm_config, monkeypatch):
    monkeypatch.setattr(precision_choice, "LARGEST_DIFFERENCE", 1e-6)
    rule = r"at most 0%\. Received: precision='int8', which changes them by \d+%\. Use the precision 'float32'"
    with pytest.raises(BadInputError, match=rule):
        choose_precision(BertBackbone.from_config(calm_config), "int8", Preprocessing(), ["1 2 3"])
    chosen = choose_precision(BertBackbone.from_config(calm_config), "auto", Preprocessing(), ["1 2 3"])
    assert chosen.reduced.precision == "float32"


def test_sample_texts_are_words_of_the_vocabulary():
    texts = sample_texts(["[PAD]", "cat", "##s", "!", "日"], count=50)
    assert {word for text in texts for word in text.split()} == {"cat", "日"}
    assert texts == sample_texts(["[PAD]", "cat", "##s", "!", "日"], count=50)
    assert sample_texts(["[PAD]"], count=1)[0].split()[0] == "a"
