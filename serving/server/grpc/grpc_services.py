"""The gRPC front: `PredictionService`, `ModelService` and the health service, on grpcio's asyncio server."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from kerasbert_serving.server import inference
from kerasbert_serving.server.grpc.predict_protos import ProtoInputs, fill_outputs
from kerasbert_serving.server.models.model_config import model_configs
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE
from kerasbert_serving.server.rest import json_status
from kerasbert_serving.server.serving_core import ServingCore, target_of
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument, unexpected

log = logging.getLogger(__name__)

# Longer error messages are cut, as in TensorFlow Serving.
MAX_MESSAGE = 1024

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


async def _abort(context: grpc.aio.ServicerContext, error: ServingError) -> None:
    message = error.message.encode("utf-8", "surrogateescape")
    if len(message) > MAX_MESSAGE:
        message = message[:MAX_MESSAGE] + b"...TRUNCATED"
    await context.abort(_STATUS_CODES[int(error.code)], message.decode("utf-8", "replace"))


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, core: ServingCore):
        self._core = core

    async def Predict(self, request, context):  # noqa: N802 - the service's own name
        """Runs a signature."""
        return await self._measured(request, context, "Predict", self._predict)

    async def Classify(self, request, context):  # noqa: N802
        """Labels and scores of examples."""
        return await self._measured(request, context, "Classify", self._classify)

    async def Regress(self, request, context):  # noqa: N802
        """Values of examples."""
        return await self._measured(request, context, "Regress", self._regress)

    async def MultiInference(self, request, context):  # noqa: N802
        """Several classify and regress signatures over the same examples."""
        return await _answered(context, self._multi_inference(request))

    async def GetModelMetadata(self, request, context):  # noqa: N802
        """The signatures of a version."""
        return await _answered(context, self._metadata(request))

    async def _measured(self, request: Any, context: grpc.aio.ServicerContext, api: str, answer: Callable) -> Any:
        start = time.perf_counter()
        name = request.model_spec.name
        try:
            if not request.HasField("model_spec"):
                raise invalid_argument("Missing ModelSpec")
            response = await answer(request)
        except Exception as error:  # noqa: BLE001 - an answer in any case
            failure = _failure(error)
            self._core.metrics.request(name, failure.code.name)
            await _abort(context, failure)
        self._core.metrics.request_took(name, api, "GRPC", time.perf_counter() - start)
        self._core.metrics.request(name, Code.OK.name)
        return response

    async def _predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        spec = request.model_spec
        inputs, wanted = ProtoInputs(request), list(request.output_filter)
        prediction = await self._core.predict(target_of(spec), spec.signature_name, inputs, wanted)
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, spec.name, spec.signature_name, prediction.version)
        fill_outputs(response, prediction.outputs, prediction.outputs.values())
        return response

    async def _classify(self, request: classification_pb2.ClassificationRequest) -> Any:
        spec = request.model_spec
        version, classes = await self._core.classify(target_of(spec), spec.signature_name, request.input)
        response = classification_pb2.ClassificationResponse()
        _fill_spec(response.model_spec, spec.name, spec.signature_name, version)
        _fill_classes(response.result, classes)
        return response

    async def _regress(self, request: regression_pb2.RegressionRequest) -> Any:
        spec = request.model_spec
        version, values = await self._core.regress(target_of(spec), spec.signature_name, request.input)
        response = regression_pb2.RegressionResponse()
        _fill_spec(response.model_spec, spec.name, spec.signature_name, version)
        _fill_values(response.result, values)
        return response

    async def _multi_inference(self, request: inference_pb2.MultiInferenceRequest) -> Any:
        version, results = await self._core.multi_inference(request)
        response = inference_pb2.MultiInferenceResponse()
        for task, (_, result) in zip(request.tasks, results, strict=True):
            filled = response.results.add()
            _fill_spec(filled.model_spec, task.model_spec.name, task.model_spec.signature_name, version)
            if task.method_name == inference.CLASSIFY_METHOD:
                _fill_classes(filled.classification_result, result)
            else:
                _fill_values(filled.regression_result, result)
        return response

    async def _metadata(self, request: get_model_metadata_pb2.GetModelMetadataRequest) -> Any:
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        servable = self._core.metadata(target_of(request.model_spec))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.model_name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(json_status.signature_def_map(servable))
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, core: ServingCore):
        self._core = core

    async def GetModelStatus(self, request, context):  # noqa: N802
        """The state of the versions of a model."""
        return await _answered(context, self._status(request))

    async def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        """Changes what is served."""
        return await _answered(context, self._reload(request))

    async def _status(self, request: get_model_status_pb2.GetModelStatusRequest) -> Any:
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        target = target_of(request.model_spec)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._core.store.versions(target.name, target.version):
            status = response.model_version_status.add(version=version.number, state=int(version.state))
            status.status.error_code = int(version.error.code if version.error else Code.OK)
            status.status.error_message = version.error.message if version.error else ""
        return response

    async def _reload(self, request: model_management_pb2.ReloadConfigRequest) -> Any:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        before = {name: self._core.metrics.value(name) for name in request.metric_names}
        await asyncio.to_thread(self._core.store.reload, model_configs(request.config))
        response = model_management_pb2.ReloadConfigResponse()
        for name, value in before.items():
            response.metric.add(name=name, int64_value_increase=self._core.metrics.value(name) - value)
        response.status.error_code = int(Code.OK)
        return response


async def _answered(context: grpc.aio.ServicerContext, answer: Any) -> Any:
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - an answer in any case
        await _abort(context, _failure(error))


def _failure(error: Exception) -> ServingError:
    """What the client is told of an error; one that nobody foresaw goes to the log, too."""
    if isinstance(error, ServingError):
        return error
    log.exception("A request failed")
    return unexpected(error)


def _fill_spec(spec: model_pb2.ModelSpec, name: str, signature_name: str, version: int) -> None:
    spec.name = name
    spec.signature_name = signature_name or DEFAULT_SIGNATURE
    spec.version.value = version


def _fill_classes(result: classification_pb2.ClassificationResult, rows: inference.Classes) -> None:
    for row in rows:
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label.decode("utf-8", "replace"), score=score)


def _fill_values(result: regression_pb2.RegressionResult, values: Any) -> None:
    for value in values.tolist():
        result.regressions.add(value=value)
