"""The pretrainer: its two outputs, its tied embedding, and joint training of both tasks."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertPretrainer
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend

POSITIONS = np.array([[1, 6], [2, 0], [0, 0]], "int32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def pretraining_inputs(inputs):
    return {**inputs, "mask_positions": POSITIONS}


def test_contract(calm_config, pretraining_inputs):
    check_model(
        lambda dtype: BertPretrainer(BertBackbone.from_config(calm_config, dtype=dtype)),
        pretraining_inputs,
        jit_compile=False,
    )


def test_outputs_are_those_of_the_two_heads(config, pretraining_inputs, shake):
    model = BertPretrainer(BertBackbone.from_config(config))
    shake(model)
    outputs = model(pretraining_inputs)
    assert {name: tuple(logits.shape) for name, logits in outputs.items()} == {
        "masked_lm": (3, 2, 30),
        "next_sentence": (3, 2),
    }
    encoded = model.backbone({name: pretraining_inputs[name] for name in model.backbone.input})
    masked_lm = model.masked_lm_head(encoded["sequence_output"], POSITIONS)
    np.testing.assert_allclose(numpy(outputs["masked_lm"]), numpy(masked_lm), atol=1e-5)
    kernel, bias = model.next_sentence_head.get_weights()
    next_sentence = numpy(encoded["pooled_output"]) @ kernel + bias
    np.testing.assert_allclose(numpy(outputs["next_sentence"]), next_sentence, atol=1e-5)


def test_the_embedding_counts_once(config):
    model = BertPretrainer(BertBackbone.from_config(config))
    # transform and its norm, output bias, next sentence
    own = (16 * 16 + 16) + 2 * 16 + 30 + (16 * 2 + 2)
    assert model.count_params() == model.backbone.count_params() + own


@pytest.mark.parametrize("way", ["keras file", "from_config", "clone_model"])
def test_stays_tied(tmp_path, config, pretraining_inputs, way):
    model = BertPretrainer(BertBackbone.from_config(config))
    if way == "keras file":
        model.save(tmp_path / "model.keras")
        copy = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(
            numpy(copy(pretraining_inputs)["masked_lm"]), numpy(model(pretraining_inputs)["masked_lm"])
        )
    elif way == "from_config":
        copy = BertPretrainer.from_config(model.get_config())
    else:
        copy = keras.models.clone_model(model)
    assert len(copy.weights) == len(model.weights)
    embeddings = next(layer for layer in copy._flatten_layers() if layer.name == "embeddings")
    assert copy.get_layer("masked_lm").token_embedding is embeddings


def test_config_reaches_the_heads(config):
    odd = config.replace(hidden_act="gelu_erf", layer_norm_eps=1e-6)
    model = BertPretrainer(BertBackbone.from_config(odd, dtype="mixed_float16"))
    assert model.masked_lm_head.activation == "gelu_erf"
    assert model.masked_lm_head.layer_norm.epsilon == 1e-6
    assert model.next_sentence_head.dtype_policy.name == "mixed_float16"


def test_learns_both_tasks_at_once(calm_config, pretraining_inputs):
    keras.utils.set_random_seed(1)
    model = BertPretrainer(BertBackbone.from_config(calm_config))
    losses = {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for name in model.output}
    # Compiling pays on JAX, whose operations are slow one by one.
    model.compile(keras.optimizers.Adam(5e-3), losses, jit_compile=keras.backend.backend() == "jax")
    labels = {"masked_lm": np.array([[3, 4], [5, 6], [7, 7]]), "next_sentence": np.array([0, 1, 1])}
    first = model.train_on_batch(pretraining_inputs, labels)[0]
    for _ in range(80):
        last = model.train_on_batch(pretraining_inputs, labels)[0]
    assert last < first / 4
    predicted = {name: numpy(logits).argmax(-1) for name, logits in model(pretraining_inputs).items()}
    np.testing.assert_array_equal(predicted["next_sentence"], labels["next_sentence"])
    np.testing.assert_array_equal(predicted["masked_lm"], labels["masked_lm"])


def test_only_a_backbone_is_accepted(config):
    with pytest.raises(ValueError, match=r"`backbone` must be a `BertBackbone`. Received: backbone=BertConfig"):
        BertPretrainer(config)
