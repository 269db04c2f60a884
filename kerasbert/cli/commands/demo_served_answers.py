"""Starts `kerasbert serve` on an exported model as a user would, and asks it over REST and gRPC."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.errors import BadInputError

# What the server prints once it answers.
_READY_LINE = re.compile(r"Serving REST at http://(\S+) and gRPC at (\S+)\n")
# As `kerasbert serve` names it.
_MODEL_NAME = "model"
_START_SECONDS = 180
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Addresses:
    """Where a server answers: `host:port` of REST and of gRPC."""

    rest: str
    grpc: str


@contextlib.contextmanager
def served(folder: Path, log: Path) -> Iterator[Addresses]:
    """A server on free ports for as long as the block runs.

    Args:
        folder: the exported model, with its version folders.
        log: a file for what the server prints.

    Raises:
        BadInputError: the server did not start; the message gives its last line.
    """
    command = [sys.executable, "-m", "kerasbert", "serve", str(folder), "--port", "0", "--grpc-port", "0"]
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield _addresses(server, log)
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _addresses(server: "subprocess.Popen[bytes]", log: Path) -> Addresses:
    """Waits for the line that says where the server answers."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        ready = _READY_LINE.search(log.read_text(encoding="utf-8", errors="replace"))
        if ready:
            return Addresses(*ready.groups())
        if server.poll() is not None:
            break
        time.sleep(0.1)
    last = next(iter(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]), "nothing printed")
    raise BadInputError(f"The server must start. Received: {last} (all of it: '{log}').")


def ask_rest(addresses: Addresses, texts: Sequence[str]) -> tuple[Any, list[tuple[str, float]]]:
    """The newest version's status, and label and probability of each text, over REST."""
    from kerasbert_serving.clients import RestClient

    with RestClient(f"http://{addresses.rest}", _MODEL_NAME) as client:
        answers: Any = client.classify(list(texts))
        return client.status()[0], [(answer.label, answer.probability) for answer in answers]


def ask_grpc(addresses: Addresses, texts: Sequence[str]) -> list[tuple[str, float]]:
    """Label and probability of each text, over gRPC."""
    from kerasbert_serving.clients import GrpcClient

    with GrpcClient(addresses.grpc, _MODEL_NAME) as client:
        answers: Any = client.classify(list(texts))
        return [(answer.label, answer.probability) for answer in answers]
