"""Model status and metadata as JSON, in the layout that TensorFlow Serving gives its protobufs."""

import json
from collections.abc import Sequence

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from kerasbert_serving.server.models.model_versions import ModelVersion
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.statuses import Code


def model_status(versions: Sequence[ModelVersion]) -> bytes:
    """The body of a model status reply."""
    statuses = []
    for version in versions:
        error = version.error
        statuses.append(
            {
                "version": str(version.number),
                "state": version.state.name,
                "status": {
                    "error_code": (error.code if error else Code.OK).name,
                    "error_message": error.message if error else "",
                },
            }
        )
    return (_text({"model_version_status": statuses}) + "\n").encode("utf-8", "replace")


def model_metadata(servable: Servable) -> bytes:
    """The body of a model metadata reply."""
    spec = model_pb2.ModelSpec(name=servable.model_name)
    spec.version.value = servable.version
    text = (
        f'{{\n"model_spec":{_text(_with_defaults(spec))}\n,\n'
        f'"metadata": {{"signature_def": {_text(_with_defaults(signature_def_map(servable)))}\n}}\n}}\n'
    )
    return text.encode("utf-8", "replace")


def signature_def_map(servable: Servable) -> get_model_metadata_pb2.SignatureDefMap:
    """All SignatureDefs of a loaded version in one message."""
    message = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.signature_definitions.items():
        message.signature_def[name].CopyFrom(definition)
    return message


def _text(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _with_defaults(message: Message) -> dict:
    # The argument that asks for fields with default values has two names, before and from protobuf 5.26.
    for argument in ("always_print_fields_with_no_presence", "including_default_value_fields"):
        try:
            return json_format.MessageToDict(message, preserving_proto_field_name=True, **{argument: True})
        except TypeError:
            continue
    raise RuntimeError("This version of protobuf cannot print fields with default values.")
