"""The encoder block against the formula, its padding, and the places of its dropouts."""

import keras
import numpy as np
import pytest

from kerasbert.layers import EncoderBlock
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.random.default_rng(3).normal(size=(3, 5, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], "int32")
ARGUMENTS = {"num_attention_heads": 2, "intermediate_size": 12}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_contract():
    arguments = {
        **ARGUMENTS,
        "activation": "gelu_erf",
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "layer_norm_eps": 1e-6,
    }
    check_layer(EncoderBlock, arguments, {"hidden": HIDDEN, "padding_mask": MASK})


@pytest.mark.parametrize("mask", [None, MASK])
def test_equals_the_formula(reference, mask):
    block = EncoderBlock(**ARGUMENTS)
    block.build(HIDDEN.shape)
    reference.shake(block)
    expected = reference.encoder_block(HIDDEN.astype("float64"), block, mask)
    np.testing.assert_allclose(numpy(block(HIDDEN, mask)), expected, atol=1e-5)


def test_padding_never_changes_a_real_position():
    block = EncoderBlock(**ARGUMENTS)
    alone = numpy(block(HIDDEN[:, :2], MASK[:, :2]))
    np.testing.assert_allclose(numpy(block(HIDDEN, MASK))[1, :2], alone[1], atol=1e-6)


def test_attention_scores_are_those_of_the_attention():
    block = EncoderBlock(**ARGUMENTS)
    hidden, scores = block(HIDDEN, MASK, return_attention_scores=True)
    np.testing.assert_array_equal(numpy(hidden), numpy(block(HIDDEN, MASK)))
    _, expected = block.attention(HIDDEN, MASK, return_attention_scores=True)
    np.testing.assert_array_equal(numpy(scores), numpy(expected))


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_symbolic_attention_scores_are_like_the_eager_ones(dtype):
    hidden, mask = keras.Input((5, 8)), keras.Input((5,), dtype="int32")
    block = EncoderBlock(**ARGUMENTS, dtype=dtype)
    model = keras.Model([hidden, mask], block(hidden, mask, return_attention_scores=True))
    for symbolic, eager in zip(model.output, model([HIDDEN, MASK]), strict=True):
        assert symbolic.shape[1:] == tuple(eager.shape[1:])
        assert symbolic.dtype == keras.backend.standardize_dtype(eager.dtype)


def test_a_keras_mask_is_used():
    block = EncoderBlock(**ARGUMENTS)
    embedding = keras.layers.Embedding(10, 8, mask_zero=True)
    ids = np.array([[3, 4, 0, 0], [5, 6, 7, 8]])
    hidden = numpy(embedding(ids))
    np.testing.assert_array_equal(numpy(block(embedding(ids))), numpy(block(hidden, ids != 0)))


def test_dropout_is_on_both_outputs_before_residual_and_norm():
    block = EncoderBlock(**ARGUMENTS, dropout=0.5, attention_dropout=0.0)
    block.build(HIDDEN.shape)
    sums = []
    for norm in (block.attention_norm, block.output_norm):
        norm.call = lambda x: sums.append(x) or x  # no norm: what would come in, goes out
    block(HIDDEN, training=True)
    first, second = (numpy(x) for x in sums)
    for difference, expected in (
        (first - HIDDEN, block.attention(HIDDEN)),
        (second - first, block.feed_forward(first)),
    ):
        kept = np.abs(difference) > 1e-7
        assert 0 < kept.sum() < kept.size
        np.testing.assert_allclose(difference[kept], 2 * numpy(expected)[kept], atol=1e-5)


def test_attention_dropout_is_its_own_rate():
    block = EncoderBlock(**ARGUMENTS, dropout=0.0, attention_dropout=0.5)
    assert not np.allclose(numpy(block(HIDDEN, training=True)), numpy(block(HIDDEN, training=False)))
    calm = EncoderBlock(**ARGUMENTS, dropout=0.0, attention_dropout=0.0)
    np.testing.assert_array_equal(numpy(calm(HIDDEN, training=True)), numpy(calm(HIDDEN, training=False)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_attention_heads": 0},
        {"intermediate_size": "4"},
        {"activation": "no_such"},
        {"dropout": 1},
        {"attention_dropout": -0.1},
        {"layer_norm_eps": -1},
        {"initializer_range": 0},
    ],
)
def test_invalid_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}={value!r}"):
        EncoderBlock(**{**ARGUMENTS, **wrong})
