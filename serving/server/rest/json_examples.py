"""The `tf.Example`s in a `:classify` or `:regress` body: `{"examples": [{"name": value}], "context": {...}}`."""

import binascii
from typing import Any

from kerasbert_serving import protos
from kerasbert_serving.server.rest.json_document import parse_object
from kerasbert_serving.server.rest.json_objects import MISSING, JsonObject, is_base64_object, type_name
from kerasbert_serving.server.rest.json_printer import debug_string, to_bytes
from kerasbert_serving.server.rest.json_tensors import signature_name
from kerasbert_serving.server.rest.nested_lists import unescape_base64
from kerasbert_serving.server.statuses import invalid_argument


def examples_input(body: bytes) -> tuple[str, Any]:
    """Parses a `:classify` or `:regress` body.

    Args:
        body: The request body, decompressed.

    Returns:
        The signature's name in the body, empty for the default signature, and the `Input` of the request.

    Raises:
        ServingError: INVALID_ARGUMENT with TensorFlow Serving's message.
    """
    document = parse_object(body)
    name = signature_name(document)
    request_input = protos.Input()
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


def _example(value: Any) -> Any:
    if type(value) is not JsonObject:
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    example = protos.Example()
    for name, content in value:
        feature = protos.Feature()
        for element in content if type(content) is list else [content]:
            _add(element, name, feature)
        example.features.feature[name].CopyFrom(feature)
    return example


def _add(value: Any, name: str, feature: Any) -> None:
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


def _values(feature: Any, kind: str, name: str) -> Any:
    """Returns the list of a feature for values of this kind. A feature has values of a single kind."""
    present = feature.WhichOneof("kind")
    if present not in (None, kind):
        raise invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {present.removesuffix('_list')}"
        )
    return getattr(feature, kind).value
