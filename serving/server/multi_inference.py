"""`MultiInference` computes several classify and regress signatures of a model for the same examples in one run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbert_serving.server import inference
from kerasbert_serving.server.models.servable import Call, Servable
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE, Signature
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument
from kerasbert_serving.server.tensors.request_protos import serialized_examples


@dataclass(frozen=True)
class MultiInferenceCall:
    """The run of all tasks of a request.

    Attributes:
        call: The run.
        tasks: The signature and the method name of each task.
        count: The number of examples.
    """

    call: Call
    tasks: list[tuple[Signature, str]]
    count: int


def multi_inference_call(servable: Servable, request: Any, check_method: bool = False) -> MultiInferenceCall:
    """Prepares the run of a `MultiInferenceRequest`.

    Raises:
        ServingError: With TensorFlow Serving's code and message.
    """
    placeholder = np.empty(0, np.object_)
    feeds: dict[str, None] = {}
    fetches: dict[str, None] = {}
    tasks = []
    shared = True
    for signature, method in _tasks(servable, request):
        prepare = inference.classify_call if method == inference.CLASSIFY_METHOD else inference.regress_call
        call = prepare(signature, placeholder, check_method)
        tasks.append((signature, method))
        feeds.update(dict.fromkeys(call.feeds))
        fetches.update(dict.fromkeys(call.fetches))
        shared = shared and signature.rows_are_independent
    examples = serialized_examples(request.input)
    call = Call(tuple(sorted(feeds)), [examples] * len(feeds), tuple(sorted(fetches)), shared)
    return MultiInferenceCall(call, tasks, len(examples))


def _tasks(servable: Servable, request: Any) -> Iterator[tuple[Signature, str]]:
    """Yields the signature and method name of each task. Checks each in turn, so the first invalid task is reported."""
    model_name = ""
    seen: set[str] = set()
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        model_name = model_name or task.model_spec.name
        if model_name != task.model_spec.name:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in seen:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        signature = servable.signature(name)
        if signature is None:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        if task.method_name not in (inference.CLASSIFY_METHOD, inference.REGRESS_METHOD):
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        yield signature, task.method_name
