"""The feed-forward part against the formula, with both forms of GELU and other activations."""

import keras
import numpy as np
import pytest

from kerasbert.layers import FeedForward
from kerasbert.layers.activations import activation_function
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.random.default_rng(2).normal(size=(2, 4, 6)).astype("float32")
X = np.linspace(-6, 6, 241)


@keras.saving.register_keras_serializable(package="kerasbert_tests")
def twice(x):
    return x * 2


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf", "silu", twice])
def test_contract(activation):
    quick = activation in ("silu", twice)
    arguments = {"intermediate_size": 10, "activation": activation}
    check_layer(FeedForward, arguments, HIDDEN, half_precisions=("mixed_float16",) * (not quick), jit_compile=not quick)


@pytest.mark.parametrize("name", ["gelu_tanh", "gelu_erf"])
def test_equals_the_formula(reference, name):
    layer = FeedForward(intermediate_size=10, activation=name)
    layer.build(HIDDEN.shape)
    reference.shake(layer)
    expected = reference.feed_forward(HIDDEN.astype("float64"), layer, getattr(reference, name))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(HIDDEN)), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["gelu_tanh", "gelu_erf"])
def test_gelu_forms(reference, name):
    ours = keras.ops.convert_to_numpy(activation_function(name)(keras.ops.convert_to_tensor(X, "float32")))
    np.testing.assert_allclose(ours, getattr(reference, name)(X), atol=1e-6)


def test_the_two_forms_differ_and_tanh_is_the_default(reference):
    assert 1e-4 < np.abs(reference.gelu_tanh(X) - reference.gelu_erf(X)).max() < 1e-3
    assert FeedForward(4).activation == "gelu_tanh"


def test_an_unknown_activation_is_refused():
    with pytest.raises(
        ValueError, match=r"`activation` must be 'gelu_tanh'.*Received: activation='gelou'.*For example"
    ):
        FeedForward(4, activation="gelou")
    with pytest.raises(ValueError, match=r"Received: activation=3"):
        FeedForward(4, activation=3)


@pytest.mark.parametrize("wrong", [{"intermediate_size": 0}, {"initializer_range": float("inf")}])
def test_invalid_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}={value!r}"):
        FeedForward(**{"intermediate_size": 2, **wrong})
