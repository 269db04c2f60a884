"""A loaded version of a model: its SavedModel, its signatures, and a queue for each signature.

Choosing the version for a request is left to `model_store.py`, converting requests to tensors to `inference.py`.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert_serving.server.models.batching import Batcher
from kerasbert_serving.server.models.sharing import BatchLimits
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE, Signature
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.runtimes.runtime import Runtime


@dataclass(frozen=True)
class Call:
    """A run: the tensors to feed and to fetch.

    Attributes:
        feeds: The names of the tensors to feed, in the graph.
        arrays: Their values.
        fetches: The names of the tensors to fetch, in the graph.
        rows_are_independent: Whether rows of several requests may share the run.
    """

    feeds: tuple[str, ...]
    arrays: Sequence[np.ndarray]
    fetches: tuple[str, ...]
    rows_are_independent: bool


class Servable:
    """A loaded version of a model.

    Args:
        model_name: The name of the model.
        version: The version number.
        path: The version folder.
        executor: The threads in which the model runs.
        options: The options of the server.
        runtime: What runs the model.

    Raises:
        ServingError: If the version cannot be loaded.
    """

    def __init__(
        self,
        model_name: str,
        version: int,
        path: Path,
        executor: Executor,
        options: ServerOptions,
        runtime: Runtime,
    ):
        self.model_name = model_name
        self.version = version
        self.path = path
        self._model = runtime.load(path, options.tensorflow_session_parallelism)
        self._signatures = {
            name: Signature(name, definition, self._model.dtypes(info.name for info in definition.inputs.values()))
            for name, definition in self._model.signatures.items()
        }
        self._batchers: dict[tuple, Batcher] = {}
        self._executor = executor
        self._options = options

    @property
    def signature_definitions(self) -> Mapping[str, Any]:
        """The `SignatureDef`s of the model, by name."""
        return self._model.signatures

    def signature(self, name: str) -> Signature | None:
        """Returns the signature with this name, or None. The empty name means the default signature."""
        return self._signatures.get(name or DEFAULT_SIGNATURE)

    async def run(self, call: Call) -> list[np.ndarray]:
        """Computes the fetched tensors, after waiting for earlier runs. Called on the event loop."""
        key = (call.feeds, call.fetches)
        batcher = self._batchers.get(key)
        if batcher is None:
            batcher = self._new_batcher(call)
            # The number of output filters is unlimited, so only some batchers are kept.
            if len(self._batchers) < 4 * len(self._signatures) + 64:
                self._batchers[key] = batcher
        return await batcher.submit(call.arrays)

    def run_now(self, call: Call) -> list[np.ndarray]:
        """Computes the fetched tensors immediately and in this thread, for the warm-up."""
        return self._model.run(call.feeds, call.arrays, call.fetches)

    def close(self) -> None:
        """Frees the model. Runs that are not finished fail with CANCELLED."""
        self._model.close()

    def _new_batcher(self, call: Call) -> Batcher:
        return Batcher(
            run=partial(self._run, call.feeds, call.fetches),
            executor=self._executor,
            may_share=call.rows_are_independent and self._options.enable_batching,
            limits=BatchLimits(
                self._options.max_batch_size, self._options.max_batch_bytes, self._options.max_waiting_requests
            ),
        )

    def _run(self, feeds: tuple[str, ...], fetches: tuple[str, ...], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._model.run(feeds, arrays, fetches)
