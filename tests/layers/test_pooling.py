"""Pooling, worked by hand."""

import keras
import numpy as np
import pytest

from kerasbert.layers import Pooling
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.array([[[1, -8], [3, -2], [9, 9]], [[2, 0], [4, 4], [6, -1]]], "float32")
MASK = np.array([[1, 1, 0], [1, 1, 1]], "int32")


@pytest.mark.parametrize("mode", ["cls", "mean", "max"])
def test_contract(mode):
    check_layer(Pooling, {"mode": mode}, {"sequence_output": HIDDEN, "padding_mask": MASK})


@pytest.mark.parametrize(
    ("mode", "masked", "unmasked"),
    [
        ("cls", [[1, -8], [2, 0]], [[1, -8], [2, 0]]),
        ("mean", [[2, -5], [4, 1]], [[13 / 3, -1 / 3], [4, 1]]),
        ("max", [[3, -2], [6, 4]], [[9, 9], [6, 4]]),
    ],
)
def test_worked_by_hand(mode, masked, unmasked):
    layer = Pooling(mode)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN, MASK)), masked, rtol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN)), unmasked, rtol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN, MASK == 1)), masked, rtol=1e-6)


@pytest.mark.parametrize("mode", ["mean", "max"])
def test_a_row_without_real_tokens_gives_zeros(mode):
    pooled = Pooling(mode)(HIDDEN, np.array([[0, 0, 0], [1, 0, 0]]))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(pooled), [[0, 0], [2, 0]])


def test_a_keras_mask_is_honoured():
    embedding = keras.layers.Embedding(5, 2, mask_zero=True)
    ids = np.array([[1, 2, 0], [3, 4, 1]])
    hidden = keras.ops.convert_to_numpy(embedding(ids))
    ours = keras.ops.convert_to_numpy(Pooling("mean")(embedding(ids)))
    np.testing.assert_allclose(ours, [hidden[0, :2].mean(0), hidden[1].mean(0)], rtol=1e-5, atol=1e-7)


def test_a_long_float16_mean_keeps_its_digits():
    hidden = np.full((1, 4096, 1), 100, "float16")  # their sum is beyond float16
    pooled = Pooling("mean", dtype="float16")(hidden)
    assert float(keras.ops.convert_to_numpy(pooled)[0, 0]) == 100.0


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"`mode` must be one of \('cls', 'mean', 'max'\). Received: mode='sum'"):
        Pooling("sum")
