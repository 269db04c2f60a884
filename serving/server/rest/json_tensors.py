"""The tensors in a `:predict` body: `{"signature_name": ..., "instances": [...]}` or `"inputs"`.

Lists of a regular shape are converted as a whole. If anything is wrong with them, they are walked value by value as in
TensorFlow Serving, which produces the error message. Formatting replies is left to `json_replies.py`.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbert_serving.server.rest.json_document import parse_object
from kerasbert_serving.server.rest.json_objects import MISSING, JsonObject, is_plain_object
from kerasbert_serving.server.rest.json_printer import debug_string
from kerasbert_serving.server.rest.nested_lists import sweep, tensor, to_array, walk
from kerasbert_serving.server.statuses import ServingError, invalid_argument


@dataclass(frozen=True)
class PredictBody:
    """A parsed `:predict` body. Its values become tensors once the dtypes of the signature are known.

    Attributes:
        document: The JSON object.
        signature_name: The signature's name in the body, empty for the default signature.
    """

    document: JsonObject
    signature_name: str

    @classmethod
    def parse(cls, body: bytes) -> "PredictBody":
        """Parses a body.

        Args:
            body: The request body, decompressed.

        Raises:
            ServingError: INVALID_ARGUMENT if the body is not a JSON object or its signature name is not a string.
        """
        document = parse_object(body)
        return cls(document, signature_name(document))

    def tensors(self, input_dtypes: Mapping[str, int]) -> tuple[dict[str, np.ndarray], bool]:
        """Converts the values to tensors.

        Args:
            input_dtypes: The dtype number of each input of the signature, by name.

        Returns:
            The inputs by name, and whether they were given row by row ("instances").

        Raises:
            ServingError: With TensorFlow Serving's code and message.
        """
        if not input_dtypes:
            raise invalid_argument(f"Failed to get input map for signature: {self.signature_name or 'DEFAULT'}")
        instances, inputs = self.document.find("instances"), self.document.find("inputs")
        if instances is not MISSING:
            _check_instances(self.document, instances, inputs)
            return _from_instances(instances, input_dtypes), True
        if inputs is not MISSING:
            return _from_inputs(inputs, input_dtypes), False
        raise invalid_argument("Missing 'inputs' or 'instances' key")


def signature_name(document: JsonObject) -> str:
    """Returns the "signature_name" of a body, empty if there is none."""
    name = document.find("signature_name")
    if name is MISSING:
        return ""
    if type(name) is not str:
        raise invalid_argument(
            f"JSON Value: {debug_string(document)} not formatted correctly. 'signature_name' key must be a string "
            "value."
        )
    return name


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
        swept = {name: sweep(column, input_dtypes[name]) for name, column in columns.items()}
        dense = {name: value for name, value in swept.items() if value is not None}
        if len(dense) == len(swept):
            with contextlib.suppress(ServingError):  # invalid base64: the walk names the element
                return {name: to_array(name, *value, input_dtypes[name]) for name, value in dense.items()}
    rows = _InstanceRows(input_dtypes)
    for position, element in enumerate(instances):
        rows.add(position, element, is_plain_object(instances[0]))
    return rows.arrays(len(instances))


def _columns(instances: list[Any], input_dtypes: Mapping[str, int]) -> dict[str, list[Any]] | None:
    """Returns the values of each input over all instances, or None if the instances have different members."""
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
    """Converts instances one by one, with the checks and error messages of each."""

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
            name: to_array(name, values, (count, *self._first[name][1]), self._dtypes[name])
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
        return {name: tensor(name, inputs, number) for name, number in input_dtypes.items()}
    arrays = {}
    for name, number in input_dtypes.items():
        value = inputs.find(name)
        if value is MISSING:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = tensor(name, value, number)
    return arrays


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
