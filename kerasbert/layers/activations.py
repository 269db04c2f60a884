"""Finds an activation by the name that configs use. Each form of GELU has its own name.

Which form a checkpoint means is decided in `kerasbert.config`.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import GELU_ERF, GELU_TANH, RELU_SQUARED
from kerasbert.errors import BadInputError

Activation = str | Callable[[Any], Any]


# Registered so that Keras can save and clone its own layers (e.g. `Dense`) with these activations.
@keras.saving.register_keras_serializable(package="kerasbert")
def gelu_tanh(x: Any) -> Any:
    """Compute GELU with the tanh approximation (Hendrycks and Gimpel 2016), as google-research/bert does."""
    return ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable(package="kerasbert")
def gelu_erf(x: Any) -> Any:
    """Compute GELU with the error function, elementwise, as most of the BERT models on Hugging Face do."""
    return ops.gelu(x, approximate=False)


@keras.saving.register_keras_serializable(package="kerasbert")
def relu_squared(x: Any) -> Any:
    """Compute the square of ReLU (So et al. 2021, "Primer: Searching for efficient transformers")."""
    return ops.square(ops.relu(x))


_OURS = {GELU_TANH: gelu_tanh, GELU_ERF: gelu_erf, RELU_SQUARED: relu_squared}


def activation_function(activation: Activation) -> Callable[[Any], Any]:
    """Return the activation function with a name.

    Args:
        activation: "gelu_tanh", "gelu_erf", "relu_squared", the name of a Keras activation (Keras's own "gelu" is the
            erf form), or a function, which is returned unchanged.

    Raises:
        BadInputError: no activation has that name.
    """
    if isinstance(activation, str) and activation in _OURS:
        return _OURS[activation]
    try:
        return keras.activations.get(activation)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            "`activation` must be 'gelu_tanh', 'gelu_erf', 'relu_squared', the name of a Keras activation or a "
            f"function. Received: activation={activation!r}. For example, 'relu', 'silu' or 'tanh'."
        ) from error


def serialized_activation(activation: Activation) -> Any:
    """Return `activation` in a form for `get_config`. A name is returned unchanged."""
    return activation if isinstance(activation, str) else keras.activations.serialize(activation)


def restored_activation(activation: Any) -> Any:
    """Return the activation from the result of `serialized_activation`, in a layer's `__init__`."""
    return keras.activations.deserialize(activation) if isinstance(activation, dict) else activation
