"""Model status and metadata as JSON, in the layout in which TensorFlow Serving prints its messages."""

import json
from collections.abc import Sequence

from google.protobuf import json_format
from google.protobuf.message import Message

from kerasbert_serving import protos
from kerasbert_serving.server.models.model_versions import ModelVersion
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.statuses import Code


def model_status(versions: Sequence[ModelVersion]) -> bytes:
    """Formats the body of a model status reply."""
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
    """Formats the body of a model metadata reply."""
    spec = protos.ModelSpec(name=servable.model_name, version={"value": servable.version})
    signatures = {name: _with_defaults(definition) for name, definition in servable.signature_definitions.items()}
    text = (
        f'{{\n"model_spec":{_text(_with_defaults(spec))}\n,\n'
        f'"metadata": {{"signature_def": {_text({"signature_def": signatures})}\n}}\n}}\n'
    )
    return text.encode("utf-8", "replace")


def _text(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _with_defaults(message: Message) -> dict:
    # Protobuf 5.26 renamed the argument that includes fields with default values.
    for argument in ("always_print_fields_with_no_presence", "including_default_value_fields"):
        try:
            return json_format.MessageToDict(message, preserving_proto_field_name=True, **{argument: True})
        except TypeError:
            continue
    raise RuntimeError("This release of protobuf cannot print fields with default values.")
