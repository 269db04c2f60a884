"""The worker's side of the conversation with the driver: one JSON object per line on standard input and output.

A worker loads one model in one library, stays loaded, and answers these requests in turn:

* `load`: load the model. Reply: seconds and versions.
* `prepare`: make a function from a job (a kind and its data), and run it once. Reply: its outputs.
* `run`: run that function until `min_seconds` have passed. Reply: wall clock and processor time of one run.

A worker is started as `python -m benchmarks.inference.workers.NAME` in the environment of its library, so this module
uses the standard library only.
"""

import abc
import base64
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

Run = Callable[[], Any]


class Worker:
    """The base class of workers. A subclass has a method for each kind of job that it supports.

    Such a method takes the job's data as keyword arguments. It returns a function without arguments that does the work
    and returns the outputs.

    Args:
        options: the options of the contestant.
    """

    # The packages whose versions are reported.
    packages: tuple[str, ...] = ()

    def __init__(self, **options: Any):
        self.options = options


class TextWorker(Worker, abc.ABC):
    """The base class of workers that encode texts, jobs of the kind `texts`."""

    def texts(self, texts: list[str], batch_size: int) -> Run:
        """Return a function that encodes the texts in batches, in their order."""
        batches = split(texts, batch_size)
        return lambda: [self.encode(batch) for batch in batches]

    @abc.abstractmethod
    def encode(self, texts: list[str]) -> Any:
        """Return the vectors of one batch, an array `[texts, vector size]`."""


def split(rows: Sequence[Any], batch_size: int) -> list[Sequence[Any]]:
    """Return the batches of some rows."""
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def main(worker_class: type[Worker]) -> None:
    """Answer requests until standard input ends."""
    # Libraries print to standard output. Only replies may appear on the stream that the driver reads.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    state: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = _answer(worker_class, state, **request)
        except Exception as error:  # noqa: BLE001 - reported to the driver, which leaves out this row
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _answer(worker_class: type[Worker], state: dict[str, Any], do: str, **data: Any) -> dict[str, Any]:
    """Return the reply to one request."""
    if do == "load":
        begin = time.perf_counter()
        state["worker"] = worker_class(**data)
        versions = {name: metadata.version(name) for name in worker_class.packages}
        return {"seconds": time.perf_counter() - begin, "versions": {"python": sys.version.split()[0], **versions}}
    if do == "prepare":
        begin = time.perf_counter()
        state["run"] = getattr(state["worker"], data.pop("kind"))(**data)
        outputs = _encoded(state["run"]())
        return {"seconds": time.perf_counter() - begin, **outputs}
    return _timed(state["run"], data["min_seconds"])


def _timed(run: Run, min_seconds: float) -> dict[str, float]:
    """Return the time of one run, from as many runs as `min_seconds` require."""
    calls, begin, begin_cpu = 0, time.perf_counter(), time.process_time()
    while True:
        run()
        calls += 1
        seconds = time.perf_counter() - begin
        if seconds >= min_seconds:
            return {"wall_s": seconds / calls, "cpu_s": (time.process_time() - begin_cpu) / calls, "calls": calls}


def _encoded(outputs: Any) -> dict[str, Any]:
    """Return outputs as JSON: a list of float arrays as the bytes of float32, anything else as it is."""
    if not (isinstance(outputs, list) and outputs and hasattr(outputs[0], "astype")):
        return {"values": outputs}
    import numpy as np

    vectors = np.concatenate([array.astype(np.float32) for array in outputs])
    return {"shape": list(vectors.shape), "float32": base64.b64encode(vectors.tobytes()).decode()}
