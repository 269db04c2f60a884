"""Self-attention against the formula, head by head; masks that never leak and never give NaN."""

import keras
import numpy as np
import pytest

from kerasbert.layers import SelfAttention
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.random.default_rng(1).normal(size=(3, 5, 12)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0]], "int32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def layer(reference):
    layer = SelfAttention(num_attention_heads=3)
    layer.build(HIDDEN.shape)
    reference.shake(layer)
    return layer


def test_contract():
    check_layer(SelfAttention, {"num_attention_heads": 3, "dropout": 0.0}, {"hidden": HIDDEN, "padding_mask": MASK})
    check_layer(SelfAttention, {"num_attention_heads": 1}, HIDDEN, half_precisions=(), jit_compile=False)


@pytest.mark.parametrize("mask", [None, MASK])
def test_equals_the_formula(layer, reference, mask):
    expected = reference.self_attention(HIDDEN.astype("float64"), layer, mask)
    np.testing.assert_allclose(numpy(layer(HIDDEN, mask)), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "float32", "int64"])
def test_any_mask_dtype_means_the_same(layer, dtype):
    np.testing.assert_array_equal(numpy(layer(HIDDEN, MASK.astype(dtype))), numpy(layer(HIDDEN, MASK)))
    for factor in (2, 0.5, -0.5):  # anything but 0 is a real token
        np.testing.assert_array_equal(numpy(layer(HIDDEN, MASK * factor)), numpy(layer(HIDDEN, MASK)))


def test_padding_has_no_weight_at_all(layer):
    _, scores = layer(HIDDEN, MASK, return_attention_scores=True)
    assert scores.shape == (3, 3, 5, 5)
    np.testing.assert_allclose(numpy(scores).sum(-1), 1.0, atol=1e-6)
    assert (numpy(scores)[np.broadcast_to(MASK[:, None, None, :], scores.shape) == 0] == 0).all()
    wild = np.where(MASK[..., None] == 0, 1e4, HIDDEN)
    real = MASK.astype(bool)
    np.testing.assert_array_equal(numpy(layer(wild, MASK))[real], numpy(layer(HIDDEN, MASK))[real])


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_a_row_of_padding_only_has_finite_scores(dtype):
    layer = SelfAttention(num_attention_heads=3, dtype=dtype)
    output, scores = layer(HIDDEN, np.zeros_like(MASK), return_attention_scores=True)
    assert np.isfinite(numpy(keras.ops.cast(output, "float32"))).all()
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"  # the softmax is in float32 at least


def test_scores_beyond_float16_stay_finite(reference):
    layer = SelfAttention(num_attention_heads=1, dtype="mixed_float16")
    layer.build(HIDDEN.shape)
    for part in (layer.query, layer.key):
        part.set_weights([np.eye(12, dtype="float32") * 100, np.zeros(12, "float32")])
    output = layer(HIDDEN, MASK)
    assert np.isfinite(numpy(keras.ops.cast(output, "float32"))).all()


def test_a_keras_mask_is_used(layer):
    embedding = keras.layers.Embedding(10, 12, mask_zero=True)
    ids = np.where(MASK == 1, 4, 0)
    ids[:, 0] = 7
    hidden = embedding(ids)
    assert not np.array_equal(numpy(layer(hidden)), numpy(layer(numpy(hidden))))
    np.testing.assert_array_equal(numpy(layer(hidden)), numpy(layer(numpy(hidden), ids != 0)))


def test_dropout_is_on_the_probabilities():
    # Identity everywhere: the output of one head is then the matrix of its probabilities.
    layer = SelfAttention(num_attention_heads=1, dropout=0.5)
    hidden = np.eye(12, dtype="float32")[None]
    layer.build(hidden.shape)
    for part in (layer.value, layer.output_dense):
        part.set_weights([np.eye(12, dtype="float32"), np.zeros(12, "float32")])
    output, scores = layer(hidden, return_attention_scores=True, training=True)
    kept = numpy(output) != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(numpy(output)[kept], 2 * numpy(scores)[0][kept], rtol=1e-5)
    np.testing.assert_allclose(numpy(scores).sum(-1), 1.0, atol=1e-6)


def test_heads_must_divide_the_hidden_size():
    with pytest.raises(ValueError, match=r"divisible by `num_attention_heads`.*Received: hidden size 12, .*=5"):
        SelfAttention(num_attention_heads=5)(HIDDEN)


def test_a_mask_of_another_rank_is_refused(layer):
    with pytest.raises(ValueError, match=r"`padding_mask` must have the shape \[batch, tokens\]"):
        layer(HIDDEN, MASK[:, None, :])


@pytest.mark.parametrize("wrong", [{"num_attention_heads": 0}, {"dropout": -1}, {"initializer_range": 0}])
def test_invalid_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}={value!r}"):
        SelfAttention(**{"num_attention_heads": 2, **wrong})
