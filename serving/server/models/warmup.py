"""Replays the warm-up records of a version, `assets.extra/tf_serving_warmup_requests`, before it is served.

The records are `PredictionLog`s in a TFRecord file. As in TensorFlow Serving, a version with a failing record is not
served.
"""

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from kerasbert_serving import protos
from kerasbert_serving.server import inference, multi_inference
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.models.warmup_records import read_records
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument
from kerasbert_serving.server.tensors.request_protos import ProtoInputs, serialized_examples

MAX_RECORDS = 1000


def warm_up(servable: Servable, iterations: int = 1) -> int:
    """Runs the warm-up records of a servable and returns their number.

    Raises:
        ServingError: If the file is corrupt or contains more than 1,000 records, or if a record fails.
    """
    path = Path(servable.path) / "assets.extra" / "tf_serving_warmup_requests"
    if not path.exists():
        return 0
    count = 0
    for record in read_records(path):
        log = _parse(record, path)
        for _ in range(iterations):
            _run(servable, log)
        count += 1
        if count > MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    return count


def _parse(record: bytes, path: Path) -> Any:
    try:
        return protos.PredictionLog.FromString(record)
    except DecodeError as error:
        raise invalid_argument(f"Failed to parse warmup record: {record!r} from {path}") from error


def _run(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        call, _ = inference.predict_call(
            servable, request.model_spec.signature_name, ProtoInputs(request), request.output_filter
        )
        servable.run_now(call)
    elif kind == "classify_log":
        request = log.classify_log.request
        signature = inference.examples_signature(servable, request.model_spec.signature_name)
        servable.run_now(inference.classify_call(signature, serialized_examples(request.input)))
    elif kind == "regress_log":
        request = log.regress_log.request
        signature = inference.examples_signature(servable, request.model_spec.signature_name)
        servable.run_now(inference.regress_call(signature, serialized_examples(request.input)))
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        servable.run_now(multi_inference.multi_inference_call(servable, request).call)
    elif kind is not None:
        field = log.DESCRIPTOR.fields_by_name[kind].number
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {field}")
