"""What both fronts ask for: each request of the API, from its target to its answer, on the event loop.

REST and gRPC only translate: bodies and messages in `rest_api.py` and `grpc_services.py`, meaning in `inference.py`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tensorflow_serving.apis import inference_pb2, input_pb2

from kerasbert_serving.server import inference, multi_inference
from kerasbert_serving.server.grpc.serialized_examples import serialized_examples
from kerasbert_serving.server.metrics import Metrics
from kerasbert_serving.server.models.model_store import ModelStore
from kerasbert_serving.server.models.servable import Call, Servable
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE, Signature
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.rest import json_tensors
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument

# Parsing a longer body takes a thread, so that the event loop goes on.
LONG_BODY = 2**18


@dataclass(frozen=True)
class Target:
    """The model of a request: its name, and the version or the label if one is named."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Prediction:
    """The answer to a predict request: which version gave it, and the outputs by name."""

    version: int
    outputs: dict[str, np.ndarray]


class ServingCore:
    """The requests of the API on the models of a store."""

    def __init__(self, store: ModelStore, metrics: Metrics, options: ServerOptions):
        self.store = store
        self.metrics = metrics
        self.options = options

    async def predict(
        self,
        target: Target,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        output_filter: Sequence[str] = (),
    ) -> Prediction:
        """Runs a signature on tensors."""
        with self._lease(target) as servable:
            return await self._predict(servable, signature_name, inputs, output_filter)

    async def predict_json(self, target: Target, body: bytes) -> tuple[dict[str, np.ndarray], bool]:
        """Runs a signature on the tensors of a `:predict` body: the outputs, and whether rows were asked for."""
        with contextlib.ExitStack() as stack:
            leased: list[Servable] = []

            def signature_inputs(name: str) -> Mapping[str, int]:
                # Only now, with the body parsed: of two errors TensorFlow Serving tells that of the body.
                if not leased:
                    leased.append(stack.enter_context(self._lease(target)))
                signature = leased[0].signature(name)
                if signature is None:
                    raise invalid_argument(
                        f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
                    )
                return signature.input_dtypes

            name, inputs, by_row = await off_loop(body, lambda: json_tensors.predict_inputs(body, signature_inputs))
            prediction = await self._predict(leased[0], name, inputs, ())
            return prediction.outputs, by_row

    async def classify(
        self, target: Target, signature_name: str, request_input: input_pb2.Input
    ) -> tuple[int, inference.Classes]:
        """Labels and scores of examples, and the version that gave them."""
        return await self._on_examples(
            target, signature_name, request_input, "Classify", inference.classify_call, inference.classify_result
        )

    async def regress(
        self, target: Target, signature_name: str, request_input: input_pb2.Input
    ) -> tuple[int, np.ndarray]:
        """Values of examples, and the version that gave them."""
        return await self._on_examples(
            target, signature_name, request_input, "Regress", inference.regress_call, inference.regress_result
        )

    async def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest
    ) -> tuple[int, list[tuple[str, inference.Classes | np.ndarray]]]:
        """The version, and for each task its signature's name and its classes or values."""
        spec = request.tasks[0].model_spec if request.tasks else None
        with self._lease(target_of(spec)) as servable:
            prepared = multi_inference.multi_inference_call(
                servable, request, self.options.enable_signature_method_name_check
            )
            outputs = await servable.run(prepared.call)
            tensors = dict(zip(prepared.call.fetches, outputs, strict=True))
            self.metrics.examples(servable.model_name, prepared.count)
            results = []
            for signature, method in prepared.tasks:
                finish = inference.regress_result
                if method == inference.CLASSIFY_METHOD:
                    finish = inference.classify_result
                results.append((signature.name, finish(signature, prepared.count, tensors)))
            return servable.version, results

    def metadata(self, target: Target) -> Servable:
        """The servable whose signatures a metadata request asks for."""
        with self._lease(target) as servable:
            return servable

    async def _predict(
        self, servable: Servable, name: str, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str]
    ) -> Prediction:
        call, aliases = inference.predict_call(
            servable, name, inputs, output_filter, self.options.enable_signature_method_name_check
        )
        tensors = await self._run(servable, call, "Predict")
        fetched = [tensors[fetch] for fetch in call.fetches]
        return Prediction(servable.version, dict(zip(aliases, fetched, strict=True)))

    async def _on_examples(
        self,
        target: Target,
        signature_name: str,
        request_input: input_pb2.Input,
        api: str,
        prepare: Callable[[Signature, np.ndarray, bool], Call],
        finish: Callable[[Signature, int, Mapping[str, np.ndarray]], object],
    ) -> tuple[int, object]:
        with self._lease(target) as servable:
            signature = inference.examples_signature(servable, signature_name)
            check = self.options.enable_signature_method_name_check
            prepare(signature, np.empty(0, np.object_), check)  # a signature that cannot comes before empty input
            examples = serialized_examples(request_input)
            tensors = await self._run(servable, prepare(signature, examples, check), api)
            return servable.version, finish(signature, len(examples), tensors)

    async def _run(self, servable: Servable, call: Call, api: str) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        outputs = await servable.run(call)
        self.metrics.run_took(servable.model_name, api, time.perf_counter() - start)
        return dict(zip(call.fetches, outputs, strict=True))

    def _lease(self, target: Target) -> contextlib.AbstractContextManager[Servable]:
        return self.store.lease(target.name, target.version, target.label)


def target_of(spec: object) -> Target:
    """The target of a ModelSpec; an empty one for None."""
    if spec is None:
        return Target("")
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


async def off_loop(body: bytes, work: Callable[[], object]) -> object:
    """Does the work here, or in a thread if the body is long."""
    if len(body) <= LONG_BODY:
        return work()
    return await asyncio.to_thread(work)


async def within(seconds: float, answer: Awaitable) -> object:
    """The answer, or DEADLINE_EXCEEDED after so many seconds."""
    try:
        return await asyncio.wait_for(answer, seconds)
    except asyncio.TimeoutError as error:
        raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from error
