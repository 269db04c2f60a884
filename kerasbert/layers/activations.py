"""Finds an activation by the name that configs use. Each form of GELU has its own name.

Does not decide which form a checkpoint means: see `kerasbert.config`.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import GELU_ERF, GELU_TANH
from kerasbert.errors import BadInputError

Activation = str | Callable[[Any], Any]

_GELU = {
    GELU_TANH: functools.partial(ops.gelu, approximate=True),
    GELU_ERF: functools.partial(ops.gelu, approximate=False),
}


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
