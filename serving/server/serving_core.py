"""Answers each request of the API on the event loop, for REST and gRPC alike.

REST and gRPC only translate: `rest_api.py` and `grpc_services.py` read requests and write replies. Converting requests
to tensors is left to `inference.py`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from kerasbert_serving.server import inference, multi_inference
from kerasbert_serving.server.metrics import Metrics
from kerasbert_serving.server.models.model_store import ModelStore
from kerasbert_serving.server.models.servable import Call, Servable
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE, Signature
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.replies import Replies
from kerasbert_serving.server.rest.json_tensors import PredictBody
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument
from kerasbert_serving.server.tensors.request_protos import ProtoInputs, serialized_examples
from kerasbert_serving.server.waiting_bytes import WaitingBytes

# Requests with more bytes are converted in a thread, so the event loop is not blocked.
LONG_REQUEST = 2**18

Result = TypeVar("Result")


@dataclass(frozen=True)
class Target:
    """The model that a request names.

    Attributes:
        name: The model's name.
        version: The version number, or None.
        label: The version label, or None.
    """

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Prediction:
    """The result of a predict request.

    Attributes:
        version: The version that computed it.
        outputs: The outputs by name.
    """

    version: int
    outputs: dict[str, np.ndarray]

    @property
    def values(self) -> int:
        """The number of values in all outputs."""
        return sum(output.size for output in self.outputs.values())


class ServingCore:
    """Answers requests with the models of a store.

    Args:
        store: The models.
        metrics: The metrics of the server.
        options: The options of the server.
    """

    def __init__(self, store: ModelStore, metrics: Metrics, options: ServerOptions):
        self.store = store
        self.metrics = metrics
        self.options = options
        self.replies = Replies(options.max_reply_bytes)
        self.waiting = WaitingBytes(options.max_waiting_bytes)

    async def predict_proto(self, request: Any, size: int) -> Prediction:
        """Answers a `PredictRequest` of `size` bytes."""
        spec = request.model_spec
        with self._lease(target_of(spec)) as servable:
            return await self._predict(
                servable, spec.signature_name, ProtoInputs(request), list(request.output_filter), size
            )

    async def predict_json(self, target: Target, body: bytes) -> tuple[Prediction, bool]:
        """Answers a `:predict` body.

        Returns:
            The prediction, and whether the inputs were given row by row.
        """
        # The body is parsed before the model is looked up: of two errors, TensorFlow Serving reports that of the body.
        parsed = await off_loop(len(body), lambda: PredictBody.parse(body))
        # The lease is taken here and not in the thread: a thread continues after its request has timed out, and would
        # take a lease that is never returned.
        with self._lease(target) as servable:
            name = parsed.signature_name
            signature = servable.signature(name)
            if signature is None:
                raise invalid_argument(
                    f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
                )
            dtypes = signature.input_dtypes
            inputs, by_row = await off_loop(len(body), lambda: parsed.tensors(dtypes))
            return await self._predict(servable, name, inputs, (), len(body)), by_row

    async def classify(self, target: Target, signature_name: str, request_input: Any) -> tuple[int, inference.Classes]:
        """Classifies the examples of an `Input`. Returns the version that did it and the result."""
        return await self._on_examples(
            target, signature_name, request_input, "Classify", inference.classify_call, inference.classify_result
        )

    async def regress(self, target: Target, signature_name: str, request_input: Any) -> tuple[int, np.ndarray]:
        """Computes a value for each example of an `Input`. Returns the version that did it and the values."""
        return await self._on_examples(
            target, signature_name, request_input, "Regress", inference.regress_call, inference.regress_result
        )

    async def multi_inference(self, request: Any) -> tuple[int, list[inference.Classes | np.ndarray]]:
        """Answers a `MultiInferenceRequest`. Returns the version that did it and the result of each task."""
        spec = request.tasks[0].model_spec if request.tasks else None
        with self._lease(target_of(spec)) as servable:
            prepared = multi_inference.multi_inference_call(
                servable, request, self.options.enable_signature_method_name_check
            )
            outputs = await servable.run(prepared.call)
            tensors = dict(zip(prepared.call.fetches, outputs, strict=True))
            self.metrics.examples(servable.model_name, prepared.count)
            results: list[inference.Classes | np.ndarray] = []
            for signature, method in prepared.tasks:
                if method == inference.CLASSIFY_METHOD:
                    results.append(inference.classify_result(signature, prepared.count, tensors))
                else:
                    results.append(inference.regress_result(signature, prepared.count, tensors))
            return servable.version, results

    def metadata(self, target: Target) -> Servable:
        """Returns the loaded version that a metadata request names."""
        with self._lease(target) as servable:
            return servable

    async def _predict(
        self, servable: Servable, name: str, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str], size: int
    ) -> Prediction:
        check = self.options.enable_signature_method_name_check
        call, aliases = await off_loop(
            size, lambda: inference.predict_call(servable, name, inputs, output_filter, check)
        )
        tensors = await self._run(servable, call, "Predict")
        fetched = [tensors[fetch] for fetch in call.fetches]
        return Prediction(servable.version, dict(zip(aliases, fetched, strict=True)))

    async def _on_examples(
        self,
        target: Target,
        signature_name: str,
        request_input: Any,
        api: str,
        prepare: Callable[[Signature, np.ndarray, bool], Call],
        finish: Callable[[Signature, int, Mapping[str, np.ndarray]], Result],
    ) -> tuple[int, Result]:
        with self._lease(target) as servable:
            signature = inference.examples_signature(servable, signature_name)
            check = self.options.enable_signature_method_name_check
            # A signature without this API is reported before empty input.
            prepare(signature, np.empty(0, np.object_), check)
            examples = await off_loop(request_input.ByteSize(), lambda: serialized_examples(request_input))
            tensors = await self._run(servable, prepare(signature, examples, check), api)
            return servable.version, finish(signature, len(examples), tensors)

    async def _run(self, servable: Servable, call: Call, api: str) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        outputs = await servable.run(call)
        self.metrics.run_took(servable.model_name, api, time.perf_counter() - start)
        return dict(zip(call.fetches, outputs, strict=True))

    def _lease(self, target: Target) -> contextlib.AbstractContextManager[Servable]:
        return self.store.lease(target.name, target.version, target.label)


def target_of(spec: Any) -> Target:
    """Returns the target that a `ModelSpec` names, an empty one for None."""
    if spec is None:
        return Target("")
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


async def off_loop(size: int, work: Callable[[], Result]) -> Result:
    """Does some work immediately, or in a thread if the request has many bytes."""
    if size <= LONG_REQUEST:
        return work()
    return await asyncio.to_thread(work)


async def within(seconds: float, answer: Awaitable[Result]) -> Result:
    """Waits for an answer. Raises DEADLINE_EXCEEDED if it takes longer than `seconds`."""
    try:
        return await asyncio.wait_for(answer, seconds)
    except asyncio.TimeoutError as error:
        raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from error
