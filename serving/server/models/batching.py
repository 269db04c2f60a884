"""Runs the requests of one signature: all that waits is taken when the previous run ends, with no timer.

Requests share a run only where shapes do not say that their rows influence each other's answer; a run that fails is
repeated request by request, so that nobody gets a neighbour's error. Lives on the event loop; TensorFlow runs in a
thread.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from kerasbert_serving.server.statuses import Code, ServingError

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


@dataclass
class _Waiting:
    arrays: Sequence[np.ndarray]
    kind: object  # requests of the same kind may share a run; None for those that may not
    rows: int
    answer: asyncio.Future


class Batcher:
    """The queue of one signature, fed with the same tensors and asked for the same ones.

    Args:
        run: Computes the outputs of some inputs; blocking, called in a thread.
        executor: Where `run` is called.
        may_share: Whether rows of several requests may share a run.
        max_rows: No shared run has more rows than this.
        max_waiting: Requests that may wait; one more is refused with UNAVAILABLE.
    """

    def __init__(self, run: Run, executor: Executor, may_share: bool, max_rows: int, max_waiting: int):
        self._run = run
        self._executor = executor
        self._may_share = may_share
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._worker: asyncio.Task | None = None

    async def submit(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for the inputs of one request.

        Raises:
            ServingError: What the run raises, or UNAVAILABLE if too many requests wait.
        """
        if len(self._waiting) >= self._max_waiting:
            raise ServingError(Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
        kind, rows = self._kind(arrays)
        waiting = _Waiting(arrays, kind, rows, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._work())
        return await waiting.answer

    def _kind(self, arrays: Sequence[np.ndarray]) -> tuple[object, int]:
        if not self._may_share or not arrays or any(array.ndim == 0 for array in arrays):
            return None, 0
        rows = len(arrays[0])
        if rows == 0 or any(len(array) != rows for array in arrays):
            return None, 0
        return tuple((array.dtype, array.shape[1:]) for array in arrays), rows

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._take()
                if group:
                    await self._serve(group)
        finally:
            self._worker = None

    def _take(self) -> list[_Waiting]:
        """The first request that waits, and those behind it that may share its run."""
        group: list[_Waiting] = []
        rows = 0
        others: deque[_Waiting] = deque()
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.answer.done():  # nobody waits for it any more
                continue
            if not group or (
                waiting.kind is not None and waiting.kind == group[0].kind and rows + waiting.rows <= self._max_rows
            ):
                group.append(waiting)
                rows += waiting.rows
            else:
                others.append(waiting)
        self._waiting = others
        return group

    async def _serve(self, group: list[_Waiting]) -> None:
        try:
            outputs = await self._outputs(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must learn of it
            if len(group) == 1:
                _fail(group[0], error)
                return
            outputs = None
        if outputs is None:
            for waiting in group:
                if not waiting.answer.done():
                    await self._serve([waiting])
            return
        for waiting, answer in zip(group, outputs, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def _outputs(self, group: list[_Waiting]) -> list[list[np.ndarray]] | None:
        """The outputs of each request, or None if those of the shared run cannot be told apart."""
        loop = asyncio.get_running_loop()
        if len(group) == 1:
            return [await loop.run_in_executor(self._executor, self._run, group[0].arrays)]
        arrays = [np.concatenate(parts) for parts in zip(*(waiting.arrays for waiting in group), strict=True)]
        outputs = await loop.run_in_executor(self._executor, self._run, arrays)
        rows = sum(waiting.rows for waiting in group)
        if any(output.ndim == 0 or len(output) != rows for output in outputs):
            return None
        split, start = [], 0
        for waiting in group:
            split.append([output[start : start + waiting.rows] for output in outputs])
            start += waiting.rows
        return split


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
