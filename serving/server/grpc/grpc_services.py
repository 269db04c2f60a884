"""The gRPC API: `PredictionService` and `ModelService` on grpcio's asyncio server.

Requests arrive and replies leave as bytes, so that large messages are converted in a thread and not on the event loop.
Answering requests is left to `serving_core.py`, building replies to `grpc_replies.py`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from kerasbert_serving import protos
from kerasbert_serving.server.grpc import grpc_replies
from kerasbert_serving.server.models.config_files import model_configs
from kerasbert_serving.server.serving_core import ServingCore, off_loop, target_of
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument, unexpected

log = logging.getLogger(__name__)

# Longer error messages are cut, as in TensorFlow Serving.
MAX_MESSAGE = 1024

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}

# The methods whose requests count as waiting bytes. Status and metadata are always available.
_COUNTED = {
    protos.METHODS[protos.PREDICTION_SERVICE][name].path
    for name in ("Predict", "Classify", "Regress", "MultiInference")
}

# Answers a parsed request, given its size in bytes, with an encoded reply.
Answer = Callable[[Any, int], Awaitable[bytes]]


class GrpcApi:
    """The methods of both services. Methods that are not here answer UNIMPLEMENTED.

    Args:
        core: Answers the requests.
    """

    def __init__(self, core: ServingCore):
        self._core = core

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Returns the handlers of both services, to be added to a server."""
        prediction = protos.METHODS[protos.PREDICTION_SERVICE]
        model = protos.METHODS[protos.MODEL_SERVICE]
        services = {
            protos.PREDICTION_SERVICE: {
                "Predict": self._handler(prediction["Predict"], self._predict, measured=True),
                "Classify": self._handler(prediction["Classify"], self._classify, measured=True),
                "Regress": self._handler(prediction["Regress"], self._regress, measured=True),
                "MultiInference": self._handler(prediction["MultiInference"], self._multi_inference),
                "GetModelMetadata": self._handler(prediction["GetModelMetadata"], self._metadata),
            },
            protos.MODEL_SERVICE: {
                "GetModelStatus": self._handler(model["GetModelStatus"], self._status),
                "HandleReloadConfigRequest": self._handler(model["HandleReloadConfigRequest"], self._reload),
            },
        }
        return [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]

    def _handler(self, method: protos.Method, answer: Answer, measured: bool = False) -> grpc.RpcMethodHandler:
        async def handle(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
            start = time.perf_counter()
            name = ""
            try:
                with self._core.waiting.request() as waiting:
                    if method.path in _COUNTED:
                        waiting.add(len(data))
                    request = await off_loop(len(data), lambda: method.request.FromString(data))
                    if measured:
                        name = request.model_spec.name
                        _require_model_spec(request)
                    reply = await answer(request, len(data))
            except DecodeError as error:
                await context.abort(grpc.StatusCode.UNKNOWN, f"Exception deserializing request: {error}")
            except Exception as error:  # noqa: BLE001 - every request gets a reply
                failure = _failure(error)
                if measured:
                    self._core.metrics.request(name, failure.code.name)
                await _abort(context, failure)
            if measured:
                took = time.perf_counter() - start
                self._core.metrics.request_took(name, method.path.rpartition("/")[2], "GRPC", took)
                self._core.metrics.request(name, Code.OK.name)
            return reply

        return grpc.unary_unary_rpc_method_handler(handle)

    # === PredictionService ===

    async def _predict(self, request: Any, size: int) -> bytes:
        prediction = await self._core.predict_proto(request, size)
        return await self._core.replies.message(
            prediction.values, lambda: grpc_replies.predict(request.model_spec, prediction)
        )

    async def _classify(self, request: Any, size: int) -> bytes:
        spec = request.model_spec
        version, classes = await self._core.classify(target_of(spec), spec.signature_name, request.input)
        return await self._core.replies.message(
            classes.scores.size, lambda: [grpc_replies.classify(spec, version, classes)]
        )

    async def _regress(self, request: Any, size: int) -> bytes:
        spec = request.model_spec
        version, values = await self._core.regress(target_of(spec), spec.signature_name, request.input)
        return await self._core.replies.message(values.size, lambda: [grpc_replies.regress(spec, version, values)])

    async def _multi_inference(self, request: Any, size: int) -> bytes:
        version, results = await self._core.multi_inference(request)
        values = sum(grpc_replies.value_count(result) for result in results)
        return await self._core.replies.message(
            values, lambda: [grpc_replies.multi_inference(request.tasks, version, results)]
        )

    async def _metadata(self, request: Any, size: int) -> bytes:
        _require_model_spec(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        return grpc_replies.metadata(self._core.metadata(target_of(request.model_spec)))

    # === ModelService ===

    async def _status(self, request: Any, size: int) -> bytes:
        _require_model_spec(request)
        target = target_of(request.model_spec)
        return grpc_replies.status(self._core.store.versions(target.name, target.version))

    async def _reload(self, request: Any, size: int) -> bytes:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        before = {name: self._core.metrics.value(name) for name in request.metric_names}
        await asyncio.to_thread(self._core.store.reload, model_configs(request.config))
        return grpc_replies.reload({name: self._core.metrics.value(name) - value for name, value in before.items()})


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


async def _abort(context: grpc.aio.ServicerContext, error: ServingError) -> None:
    message = error.message.encode("utf-8", "surrogateescape")
    if len(message) > MAX_MESSAGE:
        message = message[:MAX_MESSAGE] + b"...TRUNCATED"
    await context.abort(_STATUS_CODES[int(error.code)], message.decode("utf-8", "replace"))


def _failure(error: Exception) -> ServingError:
    """Returns the error that the client receives. An unexpected one is also logged."""
    if isinstance(error, ServingError):
        return error
    log.exception("A request failed")
    return unexpected(error)
