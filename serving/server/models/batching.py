"""Runs the requests of one signature in batches, without a timer.

When a run ends, the next run takes the waiting requests that `sharing.py` chooses. Requests share a run only if the
shapes of the signature show that no row influences the answer of another one. Everything happens on the event loop,
except for TensorFlow's runs, which take place in threads.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from kerasbert_serving.server.models.sharing import BatchLimits, choose, row_size
from kerasbert_serving.server.statuses import Code, ServingError

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


@dataclass
class _Waiting:
    arrays: Sequence[np.ndarray]
    kind: object  # requests of the same kind may share a run; None if the request must run alone
    rows: int
    row_bytes: int  # the size of the longest row
    answer: asyncio.Future


class Batcher:
    """The queue of one signature, with fixed tensors to feed and to fetch.

    Args:
        run: Computes the outputs for some inputs. It blocks and is called in a thread.
        executor: The threads in which `run` is called.
        may_share: Whether rows of several requests may share a run.
        limits: The limits of a shared run and of the queue.
    """

    def __init__(self, run: Run, executor: Executor, may_share: bool, limits: BatchLimits):
        self._run = run
        self._executor = executor
        self._may_share = may_share
        self._limits = limits
        self._waiting: deque[_Waiting] = deque()
        self._worker: asyncio.Task | None = None

    async def submit(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Computes the outputs for the inputs of one request.

        Raises:
            ServingError: UNAVAILABLE if too many requests wait, or what the run raises.
        """
        if len(self._waiting) >= self._limits.waiting:
            raise ServingError(Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
        kind, rows = self._kind(arrays)
        row_bytes = row_size(arrays) if rows else 0
        waiting = _Waiting(arrays, kind, rows, row_bytes, asyncio.get_running_loop().create_future())
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
        """Takes the requests of the next run out of the queue."""
        # Those whose clients no longer wait are left out.
        waiting = [each for each in self._waiting if not each.answer.done()]
        group = choose(waiting, self._limits) if waiting else []
        taken = set(map(id, group))
        self._waiting = deque(each for each in waiting if id(each) not in taken)
        return group

    async def _serve(self, group: list[_Waiting]) -> None:
        """Answers some requests in one run. If it fails, runs each half again, so that only faulty requests fail."""
        group = [waiting for waiting in group if not waiting.answer.done()]
        if not group:
            return
        try:
            outputs = await self._outputs(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting clients must learn of it
            if len(group) == 1:
                _fail(group[0], error)
                return
            half = len(group) // 2
            await self._serve(group[:half])
            await self._serve(group[half:])
            return
        if outputs is None:
            for waiting in group:
                await self._serve([waiting])
            return
        for waiting, answer in zip(group, outputs, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def _outputs(self, group: list[_Waiting]) -> list[list[np.ndarray]] | None:
        """Returns the outputs of each request, or None if the rows of a shared run cannot be assigned to requests."""
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
