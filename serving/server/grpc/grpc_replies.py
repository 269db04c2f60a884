"""Builds the replies of the gRPC API and encodes them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasbert_serving import protos
from kerasbert_serving.server.inference import Classes
from kerasbert_serving.server.models.model_versions import ModelVersion
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE
from kerasbert_serving.server.serving_core import Prediction
from kerasbert_serving.server.statuses import Code
from kerasbert_serving.server.tensors import tensor_protos


def predict(spec: Any, prediction: Prediction) -> Iterator[bytes]:
    """Yields the pieces of an encoded `PredictResponse`. `spec` is the `ModelSpec` of the request.

    The size of a tensor precedes it, so empty pieces are yielded while a tensor is encoded.
    """
    for name, output in prediction.outputs.items():
        tensor = []
        for part in tensor_protos.encoded(output):
            tensor.append(part)
            yield b""
        key = name.encode()
        # An entry of the map `outputs` (field 1) is a message with the key (field 1) and the value (field 2).
        size = sum(map(len, tensor))
        start = _header(1, len(key)) + key + _header(2, size)
        yield _header(1, len(start) + size) + start
        yield from tensor
    response = protos.PredictResponse()
    _fill_spec(response.model_spec, spec, prediction.version)
    yield response.SerializeToString()


def _header(field: int, length: int) -> bytes:
    """What precedes the bytes of a string or message in protobuf's encoding: the field's tag, and the length."""
    header = bytearray([field << 3 | 2])
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header)


def classify(spec: Any, version: int, classes: Classes) -> bytes:
    """Encodes a `ClassificationResponse`."""
    response = protos.ClassificationResponse()
    _fill_spec(response.model_spec, spec, version)
    _fill_classes(response.result, classes)
    return response.SerializeToString()


def regress(spec: Any, version: int, values: np.ndarray) -> bytes:
    """Encodes a `RegressionResponse`."""
    response = protos.RegressionResponse()
    _fill_spec(response.model_spec, spec, version)
    _fill_values(response.result, values)
    return response.SerializeToString()


def multi_inference(tasks: Iterable[Any], version: int, results: Sequence[Classes | np.ndarray]) -> bytes:
    """Encodes a `MultiInferenceResponse` with the result of each task."""
    response = protos.MultiInferenceResponse()
    for task, result in zip(tasks, results, strict=True):
        filled = response.results.add()
        _fill_spec(filled.model_spec, task.model_spec, version)
        if isinstance(result, Classes):
            _fill_classes(filled.classification_result, result)
        else:
            _fill_values(filled.regression_result, result)
    return response.SerializeToString()


def metadata(servable: Servable) -> bytes:
    """Encodes a `GetModelMetadataResponse` with all signatures of a version."""
    signatures = protos.SignatureDefMap()
    for name, definition in servable.signature_definitions.items():
        signatures.signature_def[name].MergeFromString(definition.SerializeToString())
    response = protos.GetModelMetadataResponse()
    response.model_spec.name = servable.model_name
    response.model_spec.version.value = servable.version
    response.metadata["signature_def"].Pack(signatures)
    return response.SerializeToString()


def status(versions: Sequence[ModelVersion]) -> bytes:
    """Encodes a `GetModelStatusResponse`."""
    response = protos.GetModelStatusResponse()
    for version in versions:
        added = response.model_version_status.add(version=version.number, state=int(version.state))
        added.status.error_code = int(version.error.code if version.error else Code.OK)
        added.status.error_message = version.error.message if version.error else ""
    return response.SerializeToString()


def reload(increases: Mapping[str, int]) -> bytes:
    """Encodes a `ReloadConfigResponse` with the increase of each metric."""
    response = protos.ReloadConfigResponse()
    for name, increase in increases.items():
        response.metric.add(name=name, int64_value_increase=increase)
    response.status.error_code = int(Code.OK)
    return response.SerializeToString()


def value_count(result: Classes | np.ndarray) -> int:
    """Returns the number of values in a result."""
    return result.scores.size if isinstance(result, Classes) else result.size


def _fill_spec(filled: Any, spec: Any, version: int) -> None:
    filled.name = spec.name
    filled.signature_name = spec.signature_name or DEFAULT_SIGNATURE
    filled.version.value = version


def _fill_classes(result: Any, classes: Classes) -> None:
    for labels, scores in zip(classes.labels, classes.scores, strict=True):
        filled = result.classifications.add().classes
        for label, score in zip(labels.tolist(), scores.tolist(), strict=True):
            filled.add(label=label.decode("utf-8", "replace"), score=score)


def _fill_values(result: Any, values: np.ndarray) -> None:
    for value in values:
        result.regressions.add(value=float(value))
