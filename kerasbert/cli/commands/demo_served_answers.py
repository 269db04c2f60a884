"""Starts `kerasbert serve` on an exported model as a user would, and sends it requests over REST and gRPC."""

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

# The server prints this line when it is ready for requests.
_READY_LINE = re.compile(r"Serving REST at http://(\S+) and gRPC at (\S+)\n")
# The default of `kerasbert serve --model-name`.
_MODEL_NAME = "model"
_START_SECONDS = 180
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Addresses:
    """Addresses of a server's two APIs, as `host:port`."""

    rest: str
    grpc: str


@contextlib.contextmanager
def served(folder: Path, log: Path) -> Iterator[Addresses]:
    """Runs a server on free ports until the `with` block ends.

    Args:
        folder: Folder of the exported model, with its numbered versions.
        log: File for the server's output.

    Raises:
        BadInputError: If the server does not start. The message contains the last line of its output.
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
    """Waits for the line in the log that contains the server's addresses."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        ready = _READY_LINE.search(log.read_text(encoding="utf-8", errors="replace"))
        if ready:
            return Addresses(*ready.groups())
        if server.poll() is not None:
            break
        time.sleep(0.1)
    last = next(iter(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]), "nothing printed")
    raise BadInputError(f"The server must start. Received: {last}. For the server's full output, see '{log}'.")


def ask_rest(addresses: Addresses, texts: Sequence[str]) -> tuple[Any, list[tuple[str, float]]]:
    """Returns the newest version's status and each text's label and probability, over REST."""
    from kerasbert_serving.clients import RestClient

    with RestClient(f"http://{addresses.rest}", _MODEL_NAME) as client:
        answers: Any = client.classify(list(texts))
        return client.status()[0], [(answer.label, answer.probability) for answer in answers]


def ask_grpc(addresses: Addresses, texts: Sequence[str]) -> list[tuple[str, float]]:
    """Returns each text's label and probability, over gRPC."""
    from kerasbert_serving.clients import GrpcClient

    with GrpcClient(addresses.grpc, _MODEL_NAME) as client:
        answers: Any = client.classify(list(texts))
        return [(answer.label, answer.probability) for answer in answers]
