"""Checks one argument and returns it as a plain value, or refuses it with the rule, what came and the remedy.

Shared by the config and the layers, so that the same mistake reads the same everywhere. Rules between two arguments
stay with who knows both.
"""

import math
import operator
from typing import Any

from kerasbert.errors import BadInputError

# Names of the two forms of GELU, which differ by up to 5e-4.
GELU_TANH = "gelu_tanh"
GELU_ERF = "gelu_erf"


def check_positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an int, or refuses what is not a whole number of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise BadInputError(
            f"`{name}` must be a whole number of at least 1. Received: {name}={value!r}. Give such as {name}=2."
        )
    return number


def check_rate(name: str, value: Any) -> float:
    """Returns `value` as a float, or refuses what is not a dropout rate."""
    number = _number(value)
    if not 0 <= number < 1:
        raise BadInputError(
            f"`{name}` must be a number from 0 up to but not including 1. Received: {name}={value!r}. "
            f"Give such as {name}=0.1, or 0 for no dropout."
        )
    return number


def check_positive_number(name: str, value: Any) -> float:
    """Returns `value` as a float, or refuses what is not a finite number above 0."""
    number = _number(value)
    if not 0 < number < math.inf:
        raise BadInputError(
            f"`{name}` must be a finite number above 0. Received: {name}={value!r}. "
            "BERT uses 0.02 for initial weights and 1e-12 for layer norms."
        )
    return number


def check_activation(name: str, value: Any) -> str:
    """Returns `value`, or refuses what is not the name of an activation with one meaning."""
    if value in (GELU_TANH, GELU_ERF, "relu", "silu", "tanh", "linear"):
        return str(value)
    if value == "gelu":
        raise BadInputError(
            f"`{name}` must say which form of GELU is meant. Received: {name}='gelu'. Give 'gelu_tanh' (Google's since "
            "2019) or 'gelu_erf' (Hugging Face's 'gelu'); `BertConfig.from_json` tells them apart by the file."
        )
    if isinstance(value, str):
        import keras

        # Keras takes any other name for an error, and says so with a ValueError.
        try:
            keras.activations.get(value)
        except ValueError:
            pass
        else:
            return value
    raise BadInputError(
        f"`{name}` must be 'gelu_tanh', 'gelu_erf' or the name of a Keras activation. Received: {name}={value!r}. "
        "Give such as 'gelu_tanh', 'gelu_erf', 'relu', 'silu' or 'tanh'."
    )


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Returns `value`, or refuses what is none of the choices."""
    if value not in choices:
        raise BadInputError(f"`{name}` must be one of {choices}. Received: {name}={value!r}. Choose one of them.")
    return str(value)


def _number(value: Any) -> float:
    """`value` as a float; NaN, which is in no range, for what is not a number."""
    if isinstance(value, (bool, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
