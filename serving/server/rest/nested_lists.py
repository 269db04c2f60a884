"""Nested lists of JSON values as NumPy arrays."""

import base64
import binascii
from itertools import chain
from typing import Any

import numpy as np

from kerasbert_serving.server.rest.json_objects import MISSING, JsonObject, is_base64_object, type_name
from kerasbert_serving.server.rest.json_printer import debug_string, to_bytes
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument
from kerasbert_serving.server.tensors import dtypes
from kerasbert_serving.server.tensors.tensor_protos import MAX_RANK, fill

# The values of a tensor, still with JSON's types, and its shape.
Dense = tuple[list[Any], tuple[int, ...]]


def tensor(name: str, value: Any, number: int) -> np.ndarray:
    """Converts a nested list to an array.

    Args:
        name: The name of the input, for error messages.
        value: The JSON value.
        number: The dtype number of the input.

    Raises:
        ServingError: With TensorFlow Serving's code and message if the value does not fit.
    """
    dense = sweep(value, number)
    return to_array(name, *(walk(value, number) if dense is None else dense), number)


def sweep(value: Any, number: int) -> Dense | None:
    """Returns the values and the shape of a regular nested list, or None if it is irregular or has other types."""
    shape: list[int] = []
    flat = [value]
    while type(flat[0]) is list:
        size = len(flat[0])
        if set(map(type, flat)) != {list} or set(map(len, flat)) != {size} or len(shape) == MAX_RANK:
            return None
        shape.append(size)
        flat = list(chain.from_iterable(flat))
        if not flat:
            return flat, tuple(shape)
    return (flat, tuple(shape)) if _fit(flat, number) else None


def _fit(flat: list[Any], number: int) -> bool:
    """Whether every value has the JSON type of the dtype."""
    types = set(map(type, flat))
    kind = dtypes.BY_NUMBER[number].json if number in dtypes.BY_NUMBER else None
    if kind == "float":
        return types <= {int, float}
    if kind == "string":
        return types == {str} or (
            types <= {str, JsonObject} and all(type(v) is str or is_base64_object(v) for v in flat)
        )
    if kind == "bool":
        return types == {bool}
    return kind in _RANGES and types == {int} and _RANGES[kind][0] <= min(flat) and max(flat) <= _RANGES[kind][1]


_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


def walk(value: Any, number: int) -> Dense:
    """Returns the values and the shape of a nested list after checking each value in the order of the text.

    Raises:
        ServingError: For the first value with a wrong type or nesting level, or the first list with a wrong size.
    """
    shape = []
    first = value
    while type(first) is list:
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    values: list[Any] = []
    pending = [iter((value,))]
    while pending:
        item = next(pending[-1], MISSING)
        if item is MISSING:
            pending.pop()
        elif type(item) is list:
            _check_list(item, len(pending) - 1, shape)
            pending.append(iter(item))
        else:
            _check_value(item, len(pending) - 1, len(shape), number)
            values.append(item)
    return values, tuple(shape)


def _check_list(item: list[Any], level: int, shape: list[int]) -> None:
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(item) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {shape[level]}"
        )


def _check_value(item: Any, level: int, rank: int, number: int) -> None:
    if level != rank:
        raise invalid_argument(
            f"JSON Value: {debug_string(item)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
            f"level: {rank}"
        )
    dtype = dtypes.BY_NUMBER.get(number)
    if type(item) is JsonObject and number == dtypes.STRING.number:
        _decode_base64(item)
    elif type(item) is JsonObject or (dtype and dtype.json):
        if not _fit([item], number):
            raise invalid_argument(
                f"JSON Value: {debug_string(item)} Type: {type_name(item)} is not of expected type: "
                f"{dtypes.name_of(number)}"
            )
    else:
        raise ServingError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {debug_string(item)} to type: {dtypes.name_of(number)}"
        )


def to_array(name: str, flat: list[Any], shape: tuple[int, ...], number: int) -> np.ndarray:
    """Converts values to an array of a shape."""
    dtype = dtypes.BY_NUMBER.get(number)
    if dtype is None or len(shape) > MAX_RANK:
        raise invalid_argument(f"tensor parsing error: {name}")
    count = int(np.prod(shape, dtype=np.int64))
    return fill(_typed(flat, dtype), dtype, count).reshape(shape)


def _typed(flat: list[Any], dtype: dtypes.DType) -> np.ndarray:
    if dtype.json == "string":
        values = np.empty(len(flat), np.object_)
        values[:] = [to_bytes(value) if type(value) is str else _decode_base64(value) for value in flat]
        return values
    if dtype.json == "float":
        wide = np.array(flat, np.float64)
        with np.errstate(over="ignore"):
            return wide.astype(dtype.numpy, copy=False)
    if dtype.json == "int32":
        return np.array(flat, np.int32).astype(dtype.numpy, copy=False)
    return np.array(flat, dtype.numpy)


# === Base64 ===


def _decode_base64(value: Any) -> bytes:
    """Decodes a `{"b64": "..."}` value by the rules of `absl::Base64Unescape`."""
    if not is_base64_object(value):
        raise invalid_argument(f"JSON Value: {debug_string(value)} not formatted correctly for base64 data")
    try:
        return unescape_base64(to_bytes(value[0][1]))
    except binascii.Error as error:
        raise invalid_argument("Unable to base64 decode") from error


def unescape_base64(text: bytes) -> bytes:
    """Decodes standard base64. White space is skipped; padding may be missing but must not be wrong."""
    text = text.translate(None, b" \t\n\v\f\r")
    content = text.rstrip(b"=.")
    padding = len(text) - len(content)
    if len(content) % 4 == 1 or (padding and padding != -len(content) % 4):
        raise binascii.Error("wrong padding")
    return base64.b64decode(content + b"=" * (-len(content) % 4), validate=True)
