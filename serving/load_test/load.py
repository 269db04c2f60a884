"""Puts load on a server and records when each request was due, sent and answered.

In a closed loop, a fixed number of clients each send a request as soon as the last one is answered. In an open loop,
requests are sent at a given rate whether the server keeps up or not, and a request's latency counts from the moment it
was due, so the requests that wait while a server stalls are not hidden (no coordinated omission).
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kerasbert_serving.clients.proxies import hint_of
from kerasbert_serving.clients.target import Target
from kerasbert_serving.load_test.report import Report, Sample
from kerasbert_serving.load_test.senders import GrpcSender, RestSender, Sender

# Number of different requests that are prepared before the clock starts.
_PREPARED = 1000


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send, how fast and for how long.

    Attributes:
        texts: The texts to draw from, or the path of a UTF-8 file with one text per line.
        rest: Address of the REST API, e.g. "http://localhost:8501". Exactly one of `rest` and `grpc` is required.
        grpc: Address of the gRPC API, e.g. "localhost:8500".
        model_name: The model's name on the server.
        version: Version to ask. By default the newest.
        label: Label of the version to ask, instead of `version`.
        signature_name: Signature to run.
        input_name: Name of the signature's string input.
        concurrency: Closed loop: number of clients that ask at the same time.
        rate: Requests per second. If given, the loop is open.
        arrivals: Open loop: intervals between requests, "poisson" (random) or "even".
        batch_size: Number of texts per request.
        seconds: How long to measure.
        warm_up_seconds: How long to send requests before that, without measuring.
        timeout: Seconds after which a request counts as an error.
        max_in_flight: Open loop: maximum number of unanswered requests. Further ones are not sent and count as errors.
        seed: Random seed for the choice of texts and the arrivals.

    Raises:
        ValueError: If an argument is invalid.
    """

    texts: str | Path | Sequence[str]
    rest: str | None = None
    grpc: str | None = None
    model_name: str = "model"
    version: int | None = None
    label: str | None = None
    signature_name: str = "serving_default"
    input_name: str = "text"
    concurrency: int = 8
    rate: float | None = None
    arrivals: str = "poisson"
    batch_size: int = 1
    seconds: float = 10.0
    warm_up_seconds: float = 1.0
    timeout: float = 30.0
    max_in_flight: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.rest is None) == (self.grpc is None):
            raise ValueError(
                f"Exactly one of `rest` and `grpc` must be given. Received: rest={self.rest}, grpc={self.grpc}."
            )
        for name in ("concurrency", "batch_size", "seconds", "timeout", "max_in_flight"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` must be positive. Received: {name}={getattr(self, name)}.")
        if self.rate is not None and self.rate <= 0:
            raise ValueError(f"`rate` must be positive. Received: rate={self.rate}.")
        if self.arrivals not in ("poisson", "even"):
            raise ValueError(f'`arrivals` must be "poisson" or "even". Received: arrivals={self.arrivals!r}.')


def run_load(load: Load) -> Report:
    """Run a load test and return its results.

    Args:
        load: What to send, how fast and for how long.

    Returns:
        The report.

    Raises:
        ValueError: If there is no text to send, or an address is invalid.
        OSError: If the file of texts cannot be read.
    """
    return asyncio.run(_run(load, _texts(load.texts)))


def _texts(source: str | Path | Sequence[str]) -> list[str]:
    if isinstance(source, (str, Path)):
        try:
            # A line ends with a line feed only: `splitlines` would split at U+2028 and other characters, too.
            source = [line.removesuffix("\r") for line in Path(source).read_text(encoding="utf-8-sig").split("\n")]
        except UnicodeDecodeError as error:
            raise ValueError(
                f"The file of texts must be UTF-8. Received: '{source}', byte {error.start} is not. Convert it, e.g. "
                "with: iconv -f latin1 -t utf-8"
            ) from error
    texts = [text for text in source if text.strip()]
    if not texts:
        raise ValueError("`texts` must contain at least one text that is not blank. Received: none.")
    return texts


async def _run(load: Load, texts: list[str]) -> Report:
    target = Target(load.model_name, load.version, load.label)
    if load.rest is not None:
        sender: Sender = RestSender(load.rest, target, load.signature_name, load.input_name)
    else:
        sender = GrpcSender(str(load.grpc), target, load.signature_name, load.input_name)
    draw = random.Random(load.seed)
    batches = [[draw.choice(texts) for _ in range(load.batch_size)] for _ in range(_PREPARED)]
    requests = itertools.cycle([sender.prepare(batch) for batch in batches])
    loop = _closed_loop if load.rate is None else _open_loop
    try:
        if load.warm_up_seconds > 0:
            await loop(load, sender, requests, load.warm_up_seconds, draw)
        begin = time.perf_counter()
        samples = await loop(load, sender, requests, load.seconds, draw)
        took = time.perf_counter() - begin
    finally:
        await sender.close()
    lengths = [len(text) for batch in batches for text in batch]
    return Report(load, samples, took, sum(lengths) / len(lengths), hint_of(sender.proxy))


async def _closed_loop(
    load: Load, sender: Sender, requests: Iterator[Any], seconds: float, draw: random.Random
) -> list[Sample]:
    samples: list[Sample] = []
    begin = time.perf_counter()

    async def ask() -> None:
        while (due := time.perf_counter() - begin) < seconds:
            samples.append(await _sample(load, sender, next(requests), begin, due))

    await asyncio.gather(*(ask() for _ in range(load.concurrency)))
    return samples


async def _open_loop(
    load: Load, sender: Sender, requests: Iterator[Any], seconds: float, draw: random.Random
) -> list[Sample]:
    samples: list[Sample] = []
    in_flight: set[asyncio.Task] = set()
    pause = _pauses(cast(float, load.rate), load.arrivals, draw)
    begin = time.perf_counter()

    def answered(task: asyncio.Task) -> None:
        in_flight.discard(task)
        samples.append(task.result())

    due = pause()
    while due < seconds:
        wait = due - (time.perf_counter() - begin)
        # If sending is late, `sleep(0)` still lets replies in, and all requests that are due are sent immediately.
        await asyncio.sleep(max(wait, 0))
        if len(in_flight) >= load.max_in_flight:
            now = time.perf_counter() - begin
            samples.append(Sample(due, now, now, "not sent"))
        else:
            task = asyncio.ensure_future(_sample(load, sender, next(requests), begin, due))
            in_flight.add(task)
            task.add_done_callback(answered)
        due += pause()
    while in_flight:
        await asyncio.wait(in_flight)
        await asyncio.sleep(0)  # lets the callbacks run
    return samples


def _pauses(rate: float, arrivals: str, draw: random.Random) -> Callable[[], float]:
    return (lambda: 1 / rate) if arrivals == "even" else (lambda: draw.expovariate(rate))


async def _sample(load: Load, sender: Sender, request: Any, begin: float, due: float) -> Sample:
    sent = time.perf_counter() - begin
    try:
        error = await asyncio.wait_for(sender.send(request), load.timeout)
    except asyncio.TimeoutError:
        error = "timeout"
    except (OSError, EOFError, ValueError) as failure:  # no connection, a broken one, or a reply that is not HTTP
        error = type(failure).__name__
        await asyncio.sleep(0.01)  # a client whose connections are refused must not spin
    return Sample(due, sent, time.perf_counter() - begin, error)
