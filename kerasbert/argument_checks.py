"""Checks one argument and returns it as a plain value, or raises an error with the rule, the value and a fix.

Shared by the config, the layers and the models, so that the same mistake gets the same message everywhere. Rules about
two arguments are checked where both are known.
"""

import math
import operator
from typing import Any

from kerasbert.errors import BadInputError

# Names of the two forms of GELU, which differ by up to 5e-4.
GELU_TANH = "gelu_tanh"
GELU_ERF = "gelu_erf"
# The square of ReLU, which Keras does not have.
RELU_SQUARED = "relu_squared"

# Variants of the encoder, the original BERT's first. `EncoderBlock` explains them.
NORM_PLACEMENTS = ("post", "pre", "sandwich")
NORM_TYPES = ("layer_norm", "rms_norm")
POSITIONS_OF_EMBEDDINGS = ("learned", "sine", "none")
POSITIONS_OF_ATTENTION = ("none", "relative", "t5", "alibi", "rotary")
INITIALIZATIONS = ("fixed", "fan_in", "fan_out", "fan_average", "fan_geometric")


def check_positive_integer(name: str, value: Any) -> int:
    """Return `value` as an int, or raise `BadInputError` if it is not a whole number of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise BadInputError(
            f"`{name}` must be a whole number of at least 1. Received: {name}={value!r}. For example, {name}=2."
        )
    return number


def check_rate(name: str, value: Any) -> float:
    """Return `value` as a float, or raise `BadInputError` if it is not a dropout rate."""
    number = _number(value)
    if not 0 <= number < 1:
        raise BadInputError(
            f"`{name}` must be a number from 0 up to but not including 1. Received: {name}={value!r}. "
            f"For example, {name}=0.1, or 0 for none."
        )
    return number


def check_positive_number(name: str, value: Any) -> float:
    """Return `value` as a float, or raise `BadInputError` if it is not a finite number greater than 0."""
    number = _number(value)
    if not 0 < number < math.inf:
        raise BadInputError(
            f"`{name}` must be a finite number greater than 0. Received: {name}={value!r}. "
            "BERT uses 0.02 for initial weights and 1e-12 for layer norms."
        )
    return number


def check_activation(name: str, value: Any) -> str:
    """Return `value`, or raise `BadInputError` if it is not the unambiguous name of an activation."""
    if value in (GELU_TANH, GELU_ERF, RELU_SQUARED, "relu", "silu", "tanh", "linear"):
        return str(value)
    if value == "gelu":
        raise BadInputError(
            f"`{name}` must name one form of GELU. Received: {name}='gelu'. Use 'gelu_tanh' (Google's form since 2019) "
            "or 'gelu_erf' (Hugging Face's 'gelu'). `BertConfig.from_json` detects the form from the file."
        )
    if isinstance(value, str):
        import keras

        # Keras raises a ValueError for an unknown name.
        try:
            keras.activations.get(value)
        except ValueError:
            pass
        else:
            return value
    raise BadInputError(
        f"`{name}` must be 'gelu_tanh', 'gelu_erf', 'relu_squared' or the name of a Keras activation. "
        f"Received: {name}={value!r}. For example, 'relu', 'silu' or 'tanh'."
    )


def check_positions(position_type: str, size: int, distance: int = 128, buckets: int = 32) -> None:
    """Check what a kind of positions requires of other arguments.

    Args:
        position_type: the kind. Only "sine", "rotary" and "t5" require something.
        size: the hidden size for "sine", the size of an attention head for "rotary".
        distance: for "t5", the longest distance that is told apart.
        buckets: for "t5", the number of buckets.

    Raises:
        BadInputError: a requirement is not met.
    """
    if position_type in ("sine", "rotary") and size % 2:
        raise BadInputError(
            f"The size of {'hidden states' if position_type == 'sine' else 'attention heads'} must be even with "
            f"position_type={position_type!r}. Received: {size}. Use an even size, e.g. heads of size 64."
        )
    if position_type == "t5" and (buckets % 4 or distance <= buckets // 4):
        raise BadInputError(
            "`relative_buckets` must be a multiple of 4, and less than 4 times `relative_distance`. "
            f"Received: relative_buckets={buckets}, relative_distance={distance}. T5 uses 32 and 128."
        )


def check_flag(name: str, value: Any) -> bool:
    """Return `value`, or raise `BadInputError` if it is neither True nor False."""
    if not isinstance(value, bool):
        raise BadInputError(f"`{name}` must be True or False. Received: {name}={value!r}. For example, {name}=True.")
    return value


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value`, or raise `BadInputError` if it is not one of the choices."""
    if value not in choices:
        raise BadInputError(f"`{name}` must be one of {choices}. Received: {name}={value!r}. Choose one of them.")
    return str(value)


def _number(value: Any) -> float:
    """Return `value` as a float, or NaN, which is in no range, if it is not a number."""
    if isinstance(value, (bool, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
