"""The tensors of a `:predict` body: `{"signature_name": ..., "instances": [...]}` or `"inputs"`.

Nested lists are read in one sweep; if that finds anything amiss, the values are walked one by one as TensorFlow Serving
does, which words the error. Writing replies is left to `json_replies.py`.
"""

import base64
import binascii
import contextlib
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from kerasbert_serving.server.grpc.tensor_protos import MAX_RANK, fill
from kerasbert_serving.server.models import dtypes
from kerasbert_serving.server.rest.json_document import parse_object
from kerasbert_serving.server.rest.json_objects import (
    MISSING,
    JsonObject,
    is_base64_object,
    is_plain_object,
    type_name,
)
from kerasbert_serving.server.rest.json_printer import debug_string, to_bytes
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument

# The values of a tensor still in JSON's types, and its shape.
Dense = tuple[list[Any], tuple[int, ...]]


def predict_inputs(
    body: bytes, signature_inputs: Callable[[str], Mapping[str, int]]
) -> tuple[str, dict[str, np.ndarray], bool]:
    """Reads a `:predict` body.

    Args:
        body: The request body, decompressed.
        signature_inputs: From a signature's name, empty for the default, to its inputs' dtypes by name.

    Returns:
        The signature's name as sent, the inputs by name, and whether they came row by row ("instances").

    Raises:
        ServingError: With TensorFlow Serving's code and text.
    """
    document = parse_object(body)
    name = signature_name(document)
    input_dtypes = signature_inputs(name)
    if not input_dtypes:
        raise invalid_argument(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    instances, inputs = document.find("instances"), document.find("inputs")
    if instances is not MISSING:
        _check_instances(document, instances, inputs)
        return name, _from_instances(instances, input_dtypes), True
    if inputs is not MISSING:
        return name, _from_inputs(inputs, input_dtypes), False
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def signature_name(document: JsonObject) -> str:
    """The body's "signature_name", empty where it has none."""
    name = document.find("signature_name")
    if name is MISSING:
        return ""
    if type(name) is not str:
        raise invalid_argument(
            f"JSON Value: {debug_string(document)} not formatted correctly. 'signature_name' key must be a string "
            "value."
        )
    return name


def decode_base64(value: Any) -> bytes:
    """The bytes of a `{"b64": "..."}` value, by the rules of `absl::Base64Unescape`."""
    if not is_base64_object(value):
        raise invalid_argument(f"JSON Value: {debug_string(value)} not formatted correctly for base64 data")
    try:
        return unescape_base64(to_bytes(value[0][1]))
    except binascii.Error as error:
        raise invalid_argument("Unable to base64 decode") from error


def unescape_base64(text: bytes) -> bytes:
    """Standard base64; white space is skipped, padding may be missing but not be wrong."""
    text = text.translate(None, b" \t\n\v\f\r")
    content = text.rstrip(b"=.")
    padding = len(text) - len(content)
    if len(content) % 4 == 1 or (padding and padding != -len(content) % 4):
        raise binascii.Error("wrong padding")
    return base64.b64decode(content + b"=" * (-len(content) % 4), validate=True)


# === The two forms ===


def _check_instances(document: JsonObject, instances: Any, inputs: Any) -> None:
    problem = None
    if inputs is not MISSING:
        problem = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
    elif type(instances) is not list:
        problem = "Expecting 'instances' to be an list/array"
    elif not instances:
        problem = "No values in 'instances' array"
    if problem:
        raise invalid_argument(f"JSON Value: {debug_string(document)} {problem}")


def _from_instances(instances: list[Any], input_dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    if type(instances[0]) is not JsonObject and len(input_dtypes) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns = _columns(instances, input_dtypes)
    if columns is not None:
        dense = {name: _sweep(column, input_dtypes[name]) for name, column in columns.items()}
        if all(value is not None for value in dense.values()):
            with contextlib.suppress(ServingError):  # base64 that does not decode: the walk names its element
                return {name: _array(name, *value, input_dtypes[name]) for name, value in dense.items()}
    rows = _InstanceRows(input_dtypes)
    for position, element in enumerate(instances):
        rows.add(position, element, is_plain_object(instances[0]))
    return rows.arrays(len(instances))


def _columns(instances: list[Any], input_dtypes: Mapping[str, int]) -> dict[str, list[Any]] | None:
    """The values of each input over the instances, or None where the instances are not all alike."""
    if not is_plain_object(instances[0]):
        if any(map(is_plain_object, instances)):
            return None
        return {next(iter(input_dtypes)): instances}
    columns: dict[str, list[Any]] = {name: [] for name in input_dtypes}
    for element in instances:
        if not is_plain_object(element) or len(element) != len(columns):
            return None
        for name, value in element:
            if name not in columns:
                return None
            columns[name].append(value)
    return columns if all(len(column) == len(instances) for column in columns.values()) else None


class _InstanceRows:
    """Instances one by one, with the checks and the errors of each."""

    def __init__(self, input_dtypes: Mapping[str, int]):
        self._dtypes = input_dtypes
        self._values: dict[str, list[Any]] = {}
        self._first: dict[str, tuple[int, tuple[int, ...]]] = {}

    def add(self, position: int, element: Any, expect_object: bool) -> None:
        if not expect_object:
            if is_plain_object(element):
                raise invalid_argument(f"Expecting value/list but got object at item {position} of input list")
            self._add_named(position, element, next(iter(self._dtypes)), "")
            return
        if not is_plain_object(element):
            raise invalid_argument(f"Expecting object but got list at item {position} of input list")
        for name, value in element:
            self._add_named(position, value, name, f" key: {name}")
        if {name for name, _ in element} != set(self._dtypes):
            raise invalid_argument(
                f"Failed to process element: {position} of 'instances' list. JSON object: {debug_string(element)} keys "
                f"must be equal to: {','.join(sorted(self._dtypes))}"
            )

    def arrays(self, count: int) -> dict[str, np.ndarray]:
        return {
            name: _array(name, values, (count, *self._first[name][1]), self._dtypes[name])
            for name, values in self._values.items()
        }

    def _add_named(self, position: int, value: Any, name: str, key: str) -> None:
        try:
            self._add_value(value, name)
        except ServingError as error:
            raise invalid_argument(
                f"Failed to process element: {position}{key} of 'instances' list. Error: {error}"
            ) from error

    def _add_value(self, value: Any, name: str) -> None:
        if name not in self._dtypes:
            raise invalid_argument(f"JSON object: does not have named input: {name}")
        values, shape = walk(value, self._dtypes[name])
        first_size, first_shape = self._first.setdefault(name, (len(values), shape))
        if first_size != len(values):
            raise invalid_argument(f"Expecting tensor size: {first_size} but got: {len(values)}")
        if first_shape != shape:
            raise invalid_argument(f"Expecting shape {_shape_text(first_shape)} but got: {_shape_text(shape)}")
        self._values.setdefault(name, []).extend(values)


def _from_inputs(inputs: Any, input_dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    if not is_plain_object(inputs):
        if len(input_dtypes) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {name: _tensor(name, inputs, number) for name, number in input_dtypes.items()}
    arrays = {}
    for name, number in input_dtypes.items():
        value = inputs.find(name)
        if value is MISSING:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = _tensor(name, value, number)
    return arrays


# === Nested lists ===


def _tensor(name: str, value: Any, number: int) -> np.ndarray:
    dense = _sweep(value, number)
    return _array(name, *(walk(value, number) if dense is None else dense), number)


def _sweep(value: Any, number: int) -> Dense | None:
    """The values and the shape of a nested list that is as regular as its first elements, else None."""
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
    """Whether every value is of the JSON type that the dtype takes."""
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
    """The values and the shape of a nested list, checked value by value in the order of the text.

    Raises:
        ServingError: For the first value of a wrong type, at a wrong level, or in a list of a wrong size.
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
    if type(item) is JsonObject and number == dtypes.types_pb2.DT_STRING:
        decode_base64(item)
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


def _array(name: str, flat: list[Any], shape: tuple[int, ...], number: int) -> np.ndarray:
    dtype = dtypes.BY_NUMBER.get(number)
    if dtype is None or len(shape) > MAX_RANK:
        raise invalid_argument(f"tensor parsing error: {name}")
    count = int(np.prod(shape, dtype=np.int64))
    return fill(_typed(flat, dtype), dtype, count).reshape(shape)


def _typed(flat: list[Any], dtype: dtypes.DType) -> np.ndarray:
    if dtype.json == "string":
        values = np.empty(len(flat), np.object_)
        values[:] = [to_bytes(value) if type(value) is str else decode_base64(value) for value in flat]
        return values
    if dtype.json == "float":
        wide = np.array(flat, np.float64)
        with np.errstate(over="ignore"):
            return wide.astype(dtype.numpy, copy=False)
    if dtype.json == "int32":
        return np.array(flat, np.int32).astype(dtype.numpy, copy=False)
    return np.array(flat, dtype.numpy)


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
