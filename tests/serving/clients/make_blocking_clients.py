"""Writes the blocking clients, `serving/clients/blocking/`, from the asynchronous ones.

    python tests/serving/clients/make_blocking_clients.py

The asynchronous clients are the source: unasync drops `async` and `await` and replaces the names below; ruff lays the
result out. The comparison of both with what is committed is in `test_blocking_clients.py`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

CLIENTS = Path(__file__).parents[3] / "serving" / "clients"
NAMES = {
    "aclose": "close",
    "async_grpc": "blocking_grpc",
    "asynchronous": "blocking",
    "asyncio": "time",
    "AnyIOBackend": "SyncBackend",
    "AsyncClient": "BlockingClient",
    "AsyncConnectionPool": "ConnectionPool",
    "AsyncGrpcClient": "GrpcClient",
    "AsyncHTTPProxy": "HTTPProxy",
    "AsyncNetworkBackend": "NetworkBackend",
    "AsyncNetworkStream": "NetworkStream",
    "AsyncRestClient": "RestClient",
    "_AsyncDeadlineBackend": "_DeadlineBackend",
    "_AsyncDeadlineStream": "_DeadlineStream",
}
# Words of docstrings and comments; the longer ones come first.
TEXTS = {
    "The asynchronous client of": "The blocking client of",
    "The asynchronous clients. The blocking ones are generated from this folder, line by line.": (
        "The blocking clients, generated from the folder `asynchronous`."
    ),
    "The calls of the asynchronous clients": "The calls of the blocking clients",
    "that every asynchronous client has": "that every blocking client has",
    "A client belongs to one event loop.": "Several threads may share a client.",
    "over REST, asynchronously.": "over REST, blocking.",
    "over gRPC, asynchronously.": "over gRPC, blocking.",
    "        async with Async": "        with ",
    "answers = await client.": "answers = client.",
    "# Opened by the first call: an asynchronous channel belongs to the event loop that runs then.": (
        "# Opened by the first call, as in the asynchronous client."
    ),
}
HEADER = """# Generated from {source} by
# tests/serving/clients/make_blocking_clients.py. Edit that file, not this one.
"""


def write(folder: Path) -> None:
    """Writes the blocking clients into a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        source, target = Path(temporary, "source"), Path(temporary, "target")
        source.mkdir()
        for path in sorted((CLIENTS / "asynchronous").glob("*.py")):
            text = path.read_text(encoding="utf-8")
            for before, after in TEXTS.items():
                text = text.replace(before, after)
            (source / path.name).write_text(text, encoding="utf-8")
        rule = unasync.Rule(fromdir=str(source), todir=str(target), additional_replacements=NAMES)
        unasync.unasync_files([str(path) for path in source.iterdir()], rules=[rule])
        folder.mkdir(exist_ok=True)
        for path in sorted(target.iterdir()):
            header = HEADER.format(source=f"serving/clients/asynchronous/{path.name}")
            (folder / path.name).write_text(header + path.read_text(encoding="utf-8"), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--config", str(CLIENTS.parents[1] / "pyproject.toml"), "--quiet", str(folder)]
    subprocess.run([*ruff, "check", "--select", "I", "--fix", *settings], check=True)
    subprocess.run([*ruff, "format", *settings], check=True)


if __name__ == "__main__":
    write(CLIENTS / "blocking")
