"""Finds an activation by the name that configs use. Each form of GELU has its own name.

Does not decide which form a checkpoint means: see `kerasbert.config`.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import GELU_ERF, GELU_TANH
from kerasbert.errors import BadInputError

Activation = str | Callable[[Any], Any]


# Registered, because Keras saves and clones a layer of its own that has one by the function's name.
@keras.saving.register_keras_serializable(package="kerasbert")
def gelu_tanh(x: Any) -> Any:
    """GELU by the tanh approximation, elementwise. Hendrycks and Gimpel 2016; what google-research/bert computes."""
    return ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable(package="kerasbert")
def gelu_erf(x: Any) -> Any:
    """GELU by the error function, elementwise. Hendrycks and Gimpel 2016; what most of Hugging Face's BERTs compute."""
    return ops.gelu(x, approximate=False)


_GELU = {GELU_TANH: gelu_tanh, GELU_ERF: gelu_erf}


def activation_function(activation: Activation) -> Callable[[Any], Any]:
    """Returns the function of that name.

    Args:
        activation: "gelu_tanh", "gelu_erf", the name of a Keras activation (Keras' own "gelu" is the erf form), or a
            function, which comes back as it is.

    Raises:
        BadInputError: no activation has that name.
    """
    if isinstance(activation, str) and activation in _GELU:
        return _GELU[activation]
    try:
        return keras.activations.get(activation)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            "`activation` must be 'gelu_tanh', 'gelu_erf', the name of a Keras activation or a function. "
            f"Received: activation={activation!r}. Give such as 'gelu_tanh', 'gelu_erf', 'relu', 'silu' or 'tanh'."
        ) from error


def serialized_activation(activation: Activation) -> Any:
    """The form of `activation` for `get_config`: a name stays that name."""
    return activation if isinstance(activation, str) else keras.activations.serialize(activation)


def restored_activation(activation: Any) -> Any:
    """The inverse of `serialized_activation`, for a layer's `__init__`."""
    return keras.activations.deserialize(activation) if isinstance(activation, dict) else activation
