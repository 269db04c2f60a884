"""Measures servers of sentence vectors with several clients at a time, against a bare loop over the SavedModel."""

import contextlib
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.inference import comparison, environments, texts
from benchmarks.inference.contestants import OURS, PRECISIONS, Contestant
from benchmarks.inference.measuring import Setting, in_rounds, say
from benchmarks.inference.worker_process import RowError, WorkerProcess, last_line

CLIENTS = (1, 8, 64)
ROWS = (1, 32)
SECONDS = 2.0
TEXTS = 512
START_SECONDS = 600


# Many clients with many texts wait longer than the default limit of a request.
_SERVE = ("-m", "kerasbert", "serve", "--port", "0", "--grpc-port", "0", "--rest-api-timeout-in-ms", "600000")


@dataclass(frozen=True)
class Server:
    """A server.

    Attributes:
        name: start of the names of its rows.
        environment: its environment.
        command: arguments of Python. `{model}` is the model folder and `{port}` a free port.
        doors: its doors by the names of `workers/server_client.py`.
        ready: what it prints when it is ready, with its ports in the order of the doors; None if it has to be asked.
        files: the entry of `FILES` that it needs.
    """

    name: str
    environment: str
    command: tuple[str, ...]
    doors: tuple[str, ...]
    ready: str | None = None
    files: str | None = None


def servers() -> list[Server]:
    """Return the table."""
    ours = [
        Server(
            f"kerasbert serve {precision}",
            OURS,
            (*_SERVE, f"{{model}}/{OURS}_{precision}"),
            ("rest", "grpc"),
            r"REST at http://[\d.]+:(\d+) and gRPC at [\d.]+:(\d+)",
            f"{OURS}_{precision}",
        )
        for precision in PRECISIONS
    ]
    options = (
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--device",
        "cpu",
        "--engine",
        "torch",
        "--no-bettertransformer",
    )
    command = ("-m", "infinity_emb.cli", "v2", "--model-id", "{model}", "--served-model-name", "model", *options)
    infinity = Server("infinity-emb float32", "infinity", command, ("openai",))
    return [*ours, infinity]


def measure_servers(setting: Setting, peers: set[str]) -> list[dict[str, Any]]:
    """Return one result for each number of texts in a request and number of clients."""
    setting.workers.close()
    model = setting.files.model("minilm")
    lines = texts.english(TEXTS)
    rows: dict[str, dict[str, Any]] = {}
    clients: dict[str, WorkerProcess] = {}
    with contextlib.ExitStack() as stack:
        for name, contestant, why_not in _doors(setting, model, peers, stack):
            # The bare loop is neither ours nor a peer, but what a server is measured against.
            ours = None if name == "bare loop" else contestant.options["door"] != "openai"
            rows[name] = {"precision": "float32", "ours": ours}
            try:
                if why_not:
                    raise RowError(why_not)
                clients[name] = setting.workers.start(contestant, model)
                stack.callback(clients[name].close)
                _check(clients, name, lines[:32], rows[name])
            except RowError as error:
                say(f"server: no {name}: {error}")
                rows[name]["why_not"] = str(error)
        return [_measure(setting, clients, rows, lines, size, count) for size in ROWS for count in CLIENTS]


def _doors(
    setting: Setting, model: Path, peers: set[str], stack: contextlib.ExitStack
) -> Iterator[tuple[str, Contestant, str]]:
    """Start all servers. For each way to ask one, yield its name, its client, and why it cannot be measured."""
    bare = f"{OURS}_{PRECISIONS[0]}"
    setting.files.add(model, bare)
    yield "bare loop", _client("bare loop", {"door": "bare", "path": f"{{model}}/{bare}"}), ""
    for server in servers():
        if server.environment not in {OURS, *peers}:
            continue
        ports, why_not = [0] * len(server.doors), ""
        try:
            if server.files:
                setting.files.add(model, server.files)
            ports = stack.enter_context(_running(server, model))
        except RowError as error:
            why_not = str(error)
        for door, port in zip(server.doors, ports, strict=True):
            name = f"{server.name}, {'REST' if door == 'openai' else door.upper().replace('GRPC', 'gRPC')}"
            yield name, _client(name, {"door": door, "port": port}), why_not


def _client(name: str, options: dict[str, Any]) -> Contestant:
    """Return the contestant of a client."""
    return Contestant(name, OURS, "server_client", ("requests",), options=options)


@contextlib.contextmanager
def _running(server: Server, model: Path) -> Iterator[list[int]]:
    """Run a server. Give its ports."""
    log = model.parent / f"{server.name.replace(' ', '_')}.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    try:
        python = environments.python_of(server.environment)
    except FileNotFoundError as error:
        raise RowError(str(error)) from error
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [python, *(each.format(model=model.resolve(), port=port) for each in server.command)],
            cwd=environments.ROOT,
            env={**environments.variables_of(server.environment), "PYTHONUNBUFFERED": "1"},
            stdout=stream,
            stderr=stream,
        )
    try:
        yield _ports(server, process, port, log)
    finally:
        process.kill()
        process.wait()


def _ports(server: Server, process: subprocess.Popen, port: int, log: Path) -> list[int]:
    """Wait until a server is ready, and return its ports."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.5)
        if server.ready:
            found = re.search(server.ready, log.read_text(encoding="utf-8", errors="replace"))
            if found:
                return [int(each) for each in found.groups()]
        else:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return [port]
    raise RowError(f"the server did not start: {last_line(log)}")


def _check(clients: dict[str, WorkerProcess], name: str, lines: Sequence[str], row: dict[str, Any]) -> None:
    """Compare the vectors with those of the bare loop."""
    answers, expected = (
        comparison.decoded(clients[each].ask(do="prepare", kind="answers", texts=lines)) for each in (name, "bare loop")
    )
    row["difference"] = comparison.difference(answers, expected)
    limit = comparison.tolerance(expected, row["precision"])
    if not row["difference"] <= limit:
        raise RowError(f"its answers differ from those of the bare loop by {row['difference']:.2g}, limit {limit}")


def _measure(
    setting: Setting,
    clients: dict[str, WorkerProcess],
    rows: dict[str, dict[str, Any]],
    lines: list[str],
    size: int,
    count: int,
) -> dict[str, Any]:
    """Return the result of all doors for one number of texts in a request and of clients."""

    def run(contestant: Contestant) -> dict[str, float]:
        request = {"texts": lines, "rows": size, "clients": count, "seconds": SECONDS}
        return clients[contestant.name].ask(do="prepare", kind="requests", **request)["values"]

    found = {name: dict(row) for name, row in rows.items()}
    contestants = [_client(name, {}) for name in clients]
    name = f"server_{size}x{count}"
    in_rounds(contestants, setting.rounds, run, found, name)
    for row in found.values():
        if "requests_per_second" in row:
            seconds = [1 / rate for rate in row["requests_per_second"]]
            row |= {"wall_s": seconds, "median_s": sorted(seconds)[len(seconds) // 2], "best_s": min(seconds)}
    title = f"Server, {size} text{'s' * (size > 1)} per request, {count} client{'s' * (count > 1)}"
    return {"name": name, "title": title, "group": "server", "kind": "server", "rows_of_job": size, "rows": found}
