"""Averages of the weights follow the formula, are what validations measure, and leave training as it was."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.training import adamw, on_averages, use_averages

pytestmark = pytest.mark.backend

X = np.random.default_rng(4).normal(size=(6, 3)).astype("float32")
Y = X.sum(-1, keepdims=True)


def new_model(dtype="float32", **arguments):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, dtype=dtype)])
    optimizer = adamw(0.1, **arguments)
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if dtype == "mixed_float16" else optimizer, "mse")
    return model


def kernel(model):
    return ops.convert_to_numpy(model.layers[-1].kernel).copy()


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_the_average_follows_the_formula_and_validation_leaves_no_trace(dtype):
    model, kernels = new_model(dtype, ema=0.8), []
    average = before = kernel(model)
    for _ in range(6):
        model.train_on_batch(X, Y)
        kernels.append(kernel(model))
        # Loss scaling skips the first steps, which are too large for float16.
        is_first = np.array_equal(average, before)
        average = kernels[-1] if is_first else 0.8 * average + 0.2 * kernels[-1]
        np.testing.assert_allclose(on_averages(kernel)(model), average, rtol=1e-5)
        np.testing.assert_array_equal(kernel(model), kernels[-1])
    use_averages(model)
    np.testing.assert_allclose(kernel(model), average, rtol=1e-5)
    assert np.abs(average - kernels[-1]).max() > 0.01

    plain = new_model(dtype)
    for expected in kernels:
        plain.train_on_batch(X, Y)
        np.testing.assert_array_equal(kernel(plain), expected)
    use_averages(plain)
    np.testing.assert_array_equal(kernel(plain), kernels[-1])
