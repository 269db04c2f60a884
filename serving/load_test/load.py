"""Puts load on a server, and writes down when each request was due, sent and answered.

Closed loop: so many clients, each asking again as soon as it is answered. Open loop: requests come at a given rate
whether the server keeps up or not, and a request's latency counts from the moment it was due: a server that stalls
cannot hide those that wait meanwhile (no coordinated omission).
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert_serving.clients.target import Target
from kerasbert_serving.load_test.report import Report, Sample
from kerasbert_serving.load_test.senders import GrpcSender, RestSender, Sender

# So many different requests are made ready before the clock starts.
_PREPARED = 1000


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send, how fast and for how long.

    Attributes:
        texts: What to draw the texts from, and so their lengths: a file with a text a line, or the texts.
        rest: Address of the REST API, such as "http://localhost:8501". Either this or `grpc`.
        grpc: Address of the gRPC API, such as "localhost:8500".
        model_name: The model's name on the server.
        version: A version of it; the newest by default.
        label: A label of a version instead.
        signature_name: The signature that is asked.
        input_name: Its string input.
        concurrency: Closed loop: how many ask at once.
        rate: Open loop, if given: requests a second.
        arrivals: How the open loop's requests come: "poisson" at random, or "even".
        batch_size: Texts in a request.
        seconds: How long to measure.
        warm_up_seconds: How long to send before that, unmeasured.
        timeout: Seconds after which a request counts as an error.
        max_in_flight: Open loop: a request beyond so many unanswered ones is not sent, and counts as an error.
        seed: Seed of the choice of texts and of the arrivals.
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

    def __post_init__(self):
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
    """Puts the load on the server and returns what came of it.

    Raises:
        ValueError: If there is no text to send.
        OSError: If the file of texts cannot be read.
    """
    return asyncio.run(_run(load, _texts(load.texts)))


def _texts(source: str | Path | Sequence[str]) -> list[str]:
    if isinstance(source, (str, Path)):
        source = Path(source).read_text(encoding="utf-8", errors="replace").splitlines()
    texts = [text for text in source if text.strip()]
    if not texts:
        raise ValueError("`texts` must hold a text at least. Received: none, or empty lines only.")
    return texts


async def _run(load: Load, texts: list[str]) -> Report:
    target = Target(load.model_name, load.version, load.label)
    if load.rest is not None:
        sender: Sender = RestSender(load.rest, target, load.signature_name, load.input_name)
    else:
        sender = GrpcSender(load.grpc, target, load.signature_name, load.input_name)
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
    return Report(load, samples, took, sum(lengths) / len(lengths))


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
    pause = _pauses(load, draw)
    begin = time.perf_counter()

    def answered(task: asyncio.Task) -> None:
        in_flight.discard(task)
        samples.append(task.result())

    due = pause()
    while due < seconds:
        wait = due - (time.perf_counter() - begin)
        # Behind the plan, one turn of the loop lets answers in; what is due goes out at once.
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
        await asyncio.sleep(0)  # for the callbacks
    return samples


def _pauses(load: Load, draw: random.Random) -> Callable[[], float]:
    if load.arrivals == "even":
        return lambda: 1 / load.rate
    return lambda: draw.expovariate(load.rate)


async def _sample(load: Load, sender: Sender, request: Any, begin: float, due: float) -> Sample:
    sent = time.perf_counter() - begin
    try:
        error = await asyncio.wait_for(sender.send(request), load.timeout)
    except asyncio.TimeoutError:
        error = "timeout"
    except (OSError, EOFError, ValueError) as failure:  # no connection, a broken one, or no HTTP
        error = type(failure).__name__
        await asyncio.sleep(0.01)  # who is refused at once must not spin
    return Sample(due, sent, time.perf_counter() - begin, error)
