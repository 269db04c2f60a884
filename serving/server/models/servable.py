"""A loaded version at work: its SavedModel, its signatures, and a queue per signature.

Which version a request gets is decided in `model_store.py`, what the tensors mean in `inference.py`.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from kerasbert_serving.server.models.batching import Batcher
from kerasbert_serving.server.models.saved_model import SavedModel
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE, Signature
from kerasbert_serving.server.options import ServerOptions


@dataclass(frozen=True)
class Call:
    """Tensors to feed and tensors to fetch, by their names in the graph."""

    feeds: tuple[str, ...]
    arrays: Sequence[np.ndarray]
    fetches: tuple[str, ...]
    rows_are_independent: bool


class Servable:
    """One loaded version of a model."""

    def __init__(self, model_name: str, version: int, path: Path, executor: Executor, options: ServerOptions):
        threads = options.tensorflow_session_parallelism
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        self.model_name = model_name
        self.version = version
        self.path = path
        self._model = SavedModel(path, config)
        self._signatures = {
            name: Signature(name, definition, self._model.dtypes(info.name for info in definition.inputs.values()))
            for name, definition in self._model.signatures.items()
        }
        self._batchers: dict[tuple, Batcher] = {}
        self._executor = executor
        self._options = options

    @property
    def signature_definitions(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDefs of the model by name."""
        return self._model.signatures

    def signature(self, name: str) -> Signature | None:
        """The signature of this name (the default one for the empty name), or None."""
        return self._signatures.get(name or DEFAULT_SIGNATURE)

    async def run(self, call: Call) -> list[np.ndarray]:
        """The fetched tensors, after waiting for the runs before; on the event loop."""
        key = (call.feeds, call.fetches)
        batcher = self._batchers.get(key)
        if batcher is None:
            batcher = self._new_batcher(call)
            # A batcher with an unusual output filter is not kept: filters could be many.
            if len(self._batchers) < 4 * len(self._signatures) + 64:
                self._batchers[key] = batcher
        return await batcher.submit(call.arrays)

    def run_now(self, call: Call) -> list[np.ndarray]:
        """The fetched tensors, at once and in this thread: for the warm-up."""
        return self._model.run(call.feeds, call.arrays, call.fetches)

    def close(self) -> None:
        """Frees the model. No run may be under way."""
        self._model.close()

    def _new_batcher(self, call: Call) -> Batcher:
        return Batcher(
            run=partial(self._run, call.feeds, call.fetches),
            executor=self._executor,
            may_share=call.rows_are_independent and self._options.enable_batching,
            max_rows=self._options.max_batch_size,
            max_waiting=self._options.max_waiting_requests,
        )

    def _run(self, feeds: tuple[str, ...], fetches: tuple[str, ...], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._model.run(feeds, arrays, fetches)
