"""TF Serving's gRPC API: turns calls into messages and replies into arrays. It sends nothing itself.

Each call is a generator, as in `rest_protocol.py`.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from kerasbert_serving import protos
from kerasbert_serving.clients import dtypes, errors, tensor_messages
from kerasbert_serving.clients.proxies import Proxy, hint_of
from kerasbert_serving.clients.retries import Deadline
from kerasbert_serving.clients.target import Target
from kerasbert_serving.clients.tensors import as_arrays, needs_dtypes, with_dtypes
from kerasbert_serving.clients.typed_replies import ModelMetadata, SignatureInfo, TensorInfo, VersionStatus


@dataclass(frozen=True)
class GrpcRequest:
    """A request: the full name of the method and the message."""

    method: str
    message: Message


_PREDICT = protos.METHODS[protos.PREDICTION_SERVICE]["Predict"]
_METADATA = protos.METHODS[protos.PREDICTION_SERVICE]["GetModelMetadata"]
_STATUS = protos.METHODS[protos.MODEL_SERVICE]["GetModelStatus"]

Steps = Generator[GrpcRequest, Message, Any]


class GrpcProtocol:
    """The calls for one model."""

    def __init__(self, target: Target):
        self.target = target
        self._metadata: ModelMetadata | None = None

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> Steps:
        """Return the outputs of a signature by name."""
        arrays = as_arrays(inputs)
        if needs_dtypes(inputs):
            metadata = self._metadata or (yield from self.metadata())
            signature = metadata.signatures.get(signature_name)
            arrays = with_dtypes(inputs, arrays, signature.inputs if signature else {})
        request = protos.PredictRequest(model_spec=self._spec(signature_name))
        for name, array in arrays.items():
            tensor_messages.fill(request.inputs[name], array)
        reply = yield GrpcRequest(_PREDICT.path, request)
        return {name: tensor_messages.to_array(tensor) for name, tensor in sorted(reply.outputs.items())}

    def status(self) -> Steps:
        """Return the state of each version."""
        reply = yield GrpcRequest(_STATUS.path, protos.GetModelStatusRequest(model_spec=self._spec()))
        return [
            VersionStatus(
                version.version,
                _enum_name(version, "state"),
                _enum_name(version.status, "error_code"),
                version.status.error_message,
            )
            for version in reply.model_version_status
        ]

    def metadata(self) -> Steps:
        """Return the signatures."""
        request = protos.GetModelMetadataRequest(model_spec=self._spec(), metadata_field=["signature_def"])
        reply = yield GrpcRequest(_METADATA.path, request)
        if "signature_def" not in reply.metadata:
            raise errors.UnexpectedReplyError("The server's reply has no signatures.", "UNKNOWN")
        signatures = protos.SignatureDefMap.FromString(reply.metadata["signature_def"].value).signature_def
        self._metadata = ModelMetadata(
            reply.model_spec.name,
            reply.model_spec.version.value,
            {
                name: SignatureInfo(
                    {key: _tensor_info(info) for key, info in sorted(definition.inputs.items())},
                    {key: _tensor_info(info) for key, info in sorted(definition.outputs.items())},
                    definition.method_name,
                )
                for name, definition in sorted(signatures.items())
            },
        )
        return self._metadata

    def _spec(self, signature_name: str = "") -> Message:
        spec = protos.ModelSpec(name=self.target.name, signature_name=signature_name)
        if self.target.version is not None:
            spec.version.value = self.target.version
        if self.target.label is not None:
            spec.version_label = self.target.label
        return spec


def calls_of(channel: Any) -> dict[str, Any]:
    """Return the functions of a channel that call each method, blocking or asynchronous like the channel."""
    return {
        method.path: channel.unary_unary(
            method.path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=method.response.FromString,
        )
        for method in (_PREDICT, _METADATA, _STATUS)
    }


def error_of(error: grpc.RpcError, deadline: Deadline, proxy: Proxy | None) -> errors.ServingClientError:
    """Return the error of a call that failed."""
    code, details = error.code().name, error.details() or ""
    if code == "DEADLINE_EXCEEDED" and not deadline.allows(0):
        return errors.deadline_exceeded(deadline.seconds, proxy)
    if code == "UNAVAILABLE":
        details = f"{details.rstrip('.')}.{hint_of(proxy)}" if proxy else details
    return errors.of_code(code, details)


def _enum_name(message: Message, field: str) -> str:
    """The name of an enum's value; its number if a newer server sends one that is not known here."""
    number = getattr(message, field)
    value = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return value.name if value else str(number)


def _tensor_info(info: Message) -> TensorInfo:
    shape = info.tensor_shape
    dtype = dtypes.BY_NUMBER.get(info.dtype)
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return TensorInfo(dtype.name if dtype else str(info.dtype), sizes)
