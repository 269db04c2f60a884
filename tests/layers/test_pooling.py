"""Pooling, worked by hand."""

import keras
import numpy as np
import pytest

from kerasbert.layers import Pooling
from kerasbert.layers.pooling import MODES
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.array([[[1, -8], [3, -2], [9, 9]], [[2, 0], [4, 4], [6, -1]]], "float32")
MASK = np.array([[1, 1, 0], [1, 1, 1]], "int32")


@pytest.mark.parametrize("mode", [*MODES, ("last", "cls", "mean_sqrt_len")])
def test_contract(mode):
    check_layer(Pooling, {"mode": mode}, {"sequence_output": HIDDEN, "padding_mask": MASK})


@pytest.mark.parametrize(
    ("mode", "masked", "unmasked"),
    [
        ("cls", [[1, -8], [2, 0]], [[1, -8], [2, 0]]),
        ("mean", [[2, -5], [4, 1]], [[13 / 3, -1 / 3], [4, 1]]),
        ("max", [[3, -2], [6, 4]], [[9, 9], [6, 4]]),
        (
            "mean_sqrt_len",
            [[4 / 2**0.5, -10 / 2**0.5], [12 / 3**0.5, 3**0.5]],
            [[13 / 3**0.5, -1 / 3**0.5], [12 / 3**0.5, 3**0.5]],
        ),
        ("weighted_mean", [[7 / 3, -4], [28 / 6, 5 / 6]], [[34 / 6, 15 / 6], [28 / 6, 5 / 6]]),
        ("last", [[3, -2], [6, -1]], [[9, 9], [6, -1]]),
        (["last", "cls"], [[3, -2, 1, -8], [6, -1, 2, 0]], [[9, 9, 1, -8], [6, -1, 2, 0]]),
        (["last"], [[3, -2], [6, -1]], [[9, 9], [6, -1]]),
    ],
)
def test_worked_by_hand(mode, masked, unmasked):
    layer = Pooling(mode)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN, MASK)), masked, rtol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN)), unmasked, rtol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN, MASK == 1)), masked, rtol=1e-6)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "cls"])
def test_a_row_without_real_tokens_gives_zeros(mode):
    pooled = Pooling(mode)(HIDDEN, np.array([[0, 0, 0], [1, 0, 0]]))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(pooled), [[0, 0], [2, 0]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("max", [[9, 9], [6, 0]]),
        ("mean", [[6, 3.5], [4, -0.5]]),
        ("mean_sqrt_len", [[12 / 2**0.5, 7 / 2**0.5], [8 / 2**0.5, -1 / 2**0.5]]),
        ("weighted_mean", [[21 / 3, 16 / 3], [20 / 4, -3 / 4]]),
        ("last", [[9, 9], [6, -1]]),
    ],
)
def test_padding_may_be_on_the_left_or_in_between(mode, expected):
    """Weights are counted from the first real token on, over whatever is between real tokens."""
    pooled = Pooling(mode)(HIDDEN, np.array([[0, 1, 1], [1, 0, 1]]))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(pooled), expected, rtol=1e-6)


def test_several_modes_are_restored_from_the_config_in_order():
    layer = Pooling(["mean", "cls"])
    assert (layer.mode, layer.get_config()["mode"]) == (("mean", "cls"), ["mean", "cls"])
    assert Pooling.from_config(layer.get_config()).mode == layer.mode


def test_a_keras_mask_is_used():
    embedding = keras.layers.Embedding(5, 2, mask_zero=True)
    ids = np.array([[1, 2, 0], [3, 4, 1]])
    hidden = keras.ops.convert_to_numpy(embedding(ids))
    ours = keras.ops.convert_to_numpy(Pooling("mean")(embedding(ids)))
    np.testing.assert_allclose(ours, [hidden[0, :2].mean(0), hidden[1].mean(0)], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mode", ["mean", "weighted_mean"])
def test_a_long_float16_mean_keeps_its_digits(mode):
    hidden = np.full((1, 4096, 1), 100, "float16")  # their sum is beyond float16
    pooled = Pooling(mode, dtype="float16")(hidden)
    assert float(keras.ops.convert_to_numpy(pooled)[0, 0]) == 100.0


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("sum", r"`mode` must be one of \('cls', 'max', .*\). Received: mode='sum'"),
        (["cls", "sum"], r"`mode` must be one of \('cls', 'max', .*\). Received: mode='sum'"),
        ([], r"`mode` must name at least one pooling. Received: mode=\[\]"),
        (3, r"`mode` must be one of .* Received: mode=3"),
    ],
)
def test_an_unknown_mode_is_refused(mode, message):
    with pytest.raises(ValueError, match=message):
        Pooling(mode)
