"""The `tf.Example`s of a `:classify` or `:regress` body: `{"examples": [{"name": value}], "context": {...}}`."""

import binascii
from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import input_pb2

from kerasbert_serving.server.rest.json_document import parse_object
from kerasbert_serving.server.rest.json_objects import MISSING, JsonObject, is_base64_object, type_name
from kerasbert_serving.server.rest.json_printer import debug_string, to_bytes
from kerasbert_serving.server.rest.json_tensors import signature_name, unescape_base64
from kerasbert_serving.server.statuses import invalid_argument


def examples_input(body: bytes) -> tuple[str, input_pb2.Input]:
    """Reads a `:classify` or `:regress` body.

    Returns:
        The signature's name as sent, empty for the default, and the input of the request.

    Raises:
        ServingError: INVALID_ARGUMENT with TensorFlow Serving's text.
    """
    document = parse_object(body)
    name = signature_name(document)
    request_input = input_pb2.Input()
    target = request_input.example_list
    context = document.find("context")
    if context is not MISSING:
        target = request_input.example_list_with_context
        target.context.CopyFrom(_example(context))
    examples = document.find("examples")
    if examples is MISSING:
        raise _wrong(document, "When method is classify, key 'examples' is expected and was not found")
    if type(examples) is not list:
        raise _wrong(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise _wrong(document, "'examples' value is an empty array")
    target.examples.extend(map(_example, examples))
    return name, request_input


def _wrong(document: JsonObject, problem: str) -> Exception:
    return invalid_argument(f"JSON Value: {debug_string(document)} {problem}")


def _example(value: Any) -> example_pb2.Example:
    if type(value) is not JsonObject:
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    example = example_pb2.Example()
    for name, content in value:
        feature = feature_pb2.Feature()
        for element in content if type(content) is list else [content]:
            _add(element, name, feature)
        example.features.feature[name].CopyFrom(feature)
    return example


def _add(value: Any, name: str, feature: feature_pb2.Feature) -> None:
    if type(value) is bool:
        _values(feature, "int64_list", name).append(int(value))
    elif type(value) is str:
        _values(feature, "bytes_list", name).append(to_bytes(value))
    elif is_base64_object(value):
        values = _values(feature, "bytes_list", name)
        try:
            values.append(unescape_base64(to_bytes(value[0][1])))
        except binascii.Error as error:
            raise invalid_argument("Unable to base64 decode") from error
    elif type(value) is float or (type(value) is int and not -(2**63) <= value < 2**64):
        _values(feature, "float_list", name).append(float(value))
    elif type(value) is int:
        values = _values(feature, "int64_list", name)
        if value >= 2**63:
            raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        values.append(value)
    else:
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _values(feature: feature_pb2.Feature, kind: str, name: str) -> Any:
    """The list of a feature that takes values of this kind; a feature has values of one kind only."""
    present = feature.WhichOneof("kind")
    if present not in (None, kind):
        raise invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {present.removesuffix('_list')}"
        )
    return getattr(feature, kind).value
