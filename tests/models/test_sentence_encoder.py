"""The sentence encoder: pooled over real tokens, length 1 on request."""

import math

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertSentenceEncoder
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def test_contract(calm_config, inputs):
    check_model(
        lambda dtype: BertSentenceEncoder(BertBackbone.from_config(calm_config, dtype=dtype)),
        inputs,
        half_precisions=("mixed_float16",),
        jit_compile=False,
    )


def test_contract_with_projections(calm_config, inputs):
    projections = [{"units": 5, "activation": "tanh"}, {"units": 3, "use_bias": False}]
    check_model(
        lambda dtype: BertSentenceEncoder(
            BertBackbone.from_config(calm_config, dtype=dtype), ["cls", "weighted_mean"], projections=projections
        ),
        inputs,
        half_precisions=("mixed_float16",),
    )


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_pools_the_hidden_states_of_real_tokens(config, inputs, shake, pooling, normalize):
    model = BertSentenceEncoder(BertBackbone.from_config(config), pooling=pooling, normalize=normalize)
    shake(model)
    hidden = numpy(model.backbone(inputs)["sequence_output"])
    rows = [row[: mask.sum()] for row, mask in zip(hidden, inputs["padding_mask"], strict=True)]
    function = {"cls": lambda row: row[0], "mean": lambda row: row.mean(0), "max": lambda row: row.max(0)}[pooling]
    expected = np.stack([function(row) for row in rows])
    if normalize:
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(numpy(model(inputs)), expected, atol=1e-5)
    again = BertSentenceEncoder.from_config(model.get_config())
    assert (again.pooling, again.normalize) == (pooling, normalize)


ACTIVATIONS = {
    "tanh": np.tanh,
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu_erf": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / 2**0.5)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_projections_are_dense_layers_before_the_normalization(config, inputs, shake, activation, use_bias, normalize):
    projections = [{"units": 24, "activation": activation, "use_bias": use_bias}, {"units": 5}]
    model = BertSentenceEncoder(BertBackbone.from_config(config), ["cls", "max"], normalize, projections)
    shake(model)
    hidden = numpy(model.backbone(inputs)["sequence_output"])
    rows = [row[: mask.sum()] for row, mask in zip(hidden, inputs["padding_mask"], strict=True)]
    pooled = np.stack([np.concatenate([row[0], row.max(0)]) for row in rows])
    first, second = [[numpy(weight) for weight in layer.weights] for layer in model.projection_layers]
    assert (len(first), len(second)) == (1 + use_bias, 2)
    expected = ACTIVATIONS[activation](pooled @ first[0] + (first[1] if use_bias else 0)) @ second[0] + second[1]
    if normalize:
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(numpy(model(inputs)), expected, atol=2e-5, rtol=1e-5)
    assert model.embedding_size == 5


@pytest.mark.parametrize("activation", ["gelu_erf", "gelu_tanh"])
def test_a_model_with_projections_can_be_cloned(config, inputs, activation):
    model = BertSentenceEncoder(BertBackbone.from_config(config), projections=[{"units": 5, "activation": activation}])
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(numpy(clone(inputs)), numpy(model(inputs)))


def test_settings_left_out_of_a_projection_are_those_of_keras(config):
    model = BertSentenceEncoder(BertBackbone.from_config(config), projections=({"units": 5},))
    assert model.projections == [{"units": 5, "activation": "linear", "use_bias": True}]
    assert model.get_config()["projections"] == model.projections
    assert BertSentenceEncoder.from_config(model.get_config()).projections == model.projections


def test_several_poolings_make_a_wider_vector(config):
    backbone = BertBackbone.from_config(config)
    assert BertSentenceEncoder(backbone).embedding_size == 16
    model = BertSentenceEncoder(backbone, ("mean", "last", "max"))
    assert model.embedding_size == 48
    assert BertSentenceEncoder.from_config(model.get_config()).pooling == ("mean", "last", "max")


def test_a_projection_computes_in_the_policy_s_type_and_the_normalization_in_float32(config, inputs):
    backbone = BertBackbone.from_config(config, dtype="mixed_bfloat16")
    model = BertSentenceEncoder(backbone, projections=[{"units": 5, "activation": "tanh"}])
    (layer,) = model.projection_layers
    assert (layer.compute_dtype, layer.kernel.dtype) == ("bfloat16", "float32")
    assert (model.output.dtype, model(inputs).dtype) == ("float32", model.output.dtype)


def test_vectors_in_float16_have_length_1(config, inputs):
    model = BertSentenceEncoder(BertBackbone.from_config(config, dtype="mixed_float16"))
    np.testing.assert_allclose(np.linalg.norm(numpy(model(inputs)), axis=-1), 1.0, atol=1e-5)


def test_a_row_of_padding_only_becomes_zeros(config, inputs):
    model = BertSentenceEncoder(BertBackbone.from_config(config))
    vectors = model({**inputs, "padding_mask": np.zeros_like(inputs["padding_mask"])})
    np.testing.assert_array_equal(numpy(vectors), 0.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pooling": "sum"}, r"`mode` must be one of .*Received: mode='sum'"),
        ({"normalize": "yes"}, r"`normalize` must be True or False. Received: normalize='yes'"),
        ({"backbone": 1}, r"`backbone` must be"),
        ({"projections": {"units": 3}}, r"`projections` must be a list of dicts.*Received: {'units': 3}"),
        ({"projections": [8]}, r"`projections` must be a list of dicts.*Received: 8\."),
        ({"projections": [{"activation": "tanh"}]}, r"`projections` must be a list of dicts with `units`"),
        ({"projections": [{"units": 3, "bias": True}]}, r"`projections` must be a list of dicts"),
        ({"projections": [{"units": 0}]}, r"`units` must be a whole number of at least 1. Received: units=0"),
        ({"projections": [{"units": 3, "activation": "gelu"}]}, r"`activation` must name one form of GELU"),
        ({"projections": [{"units": 3, "use_bias": 1}]}, r"`use_bias` must be True or False. Received: use_bias=1"),
    ],
)
def test_invalid_arguments_are_refused(config, wrong, message):
    with pytest.raises(ValueError, match=message):
        BertSentenceEncoder(**{"backbone": BertBackbone.from_config(config), **wrong})


def test_the_unused_pooler_is_not_a_weight_but_stays_in_the_file(tmp_path, config):
    model = BertSentenceEncoder(BertBackbone.from_config(config))
    assert not any("pooler" in weight.path for weight in model.weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.backbone.pooler.get_weights()[0], model.backbone.pooler.get_weights()[0])
    model.backbone.trainable = False
    assert len(model.trainable_weights) == len(model.weights) - len(model.backbone.weights) + 2
