"""Runs Beam on this machine as a cluster would: a job server, and a pool of workers in processes of their own.

The workers start in another folder with an almost empty environment, so that everything they need must be in the
pickled pipeline or installed, as in the containers of Flink and Spark. The job server is Beam's own, in Python.

To try a pipeline, start both, and give the printed arguments to the pipeline as `beam_pipeline_args`:

    python -m kerasbert_pipelines.local.portable_beam --workers 2
"""

import argparse
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from kerasbert.errors import BadInputError

_LOCALHOST = "localhost"
# Environment variables that the workers keep. Others could hide what is missing in a container.
_KEPT = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "GOOGLE_APPLICATION_CREDENTIALS")


@dataclasses.dataclass(frozen=True)
class PortableBeam:
    """A running job server with its workers.

    Attributes:
        arguments: The arguments for Beam.
        pool: The process id of the workers' parent.
        log: The file with the output of both.
    """

    arguments: list[str]
    pool: int
    log: Path


@contextlib.contextmanager
def portable_beam(
    workers: int = 1, import_from: str | os.PathLike[str] | None = None, timeout: float = 120.0
) -> Iterator[PortableBeam]:
    """Yields a running job server. Both it and the workers are stopped when the block ends.

    Args:
        workers: Number of worker processes for each job.
        import_from: A folder from which the workers import packages before those that are installed.
        timeout: Seconds that each of the two may take to start.

    Raises:
        BadInputError: If one of them does not start.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        log = stack.enter_context(Path(folder, "log.txt").open("wb"))
        module = "kerasbert_pipelines.local.beam_job_server"
        ports = [_free_port(), _free_port()]
        server = [sys.executable, "-m", module, f"--port={ports[0]}", f"--workers={workers}"]
        pool = ["python", "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={ports[1]}"]
        stack.enter_context(_process(server, log))
        parent = stack.enter_context(_process(pool, log, _clean_environment(folder, import_from), folder))
        for port in ports:
            _wait_for(port, Path(log.name), timeout)
        arguments = [
            "--runner=PortableRunner",
            f"--job_endpoint={_LOCALHOST}:{ports[0]}",
            "--environment_type=EXTERNAL",
            f"--environment_config={_LOCALHOST}:{ports[1]}",
            # Without a named image, TFX packs and sends itself.
            "--sdk_container_image=installed",
        ]
        yield PortableBeam(arguments, parent, Path(log.name))


def _clean_environment(home: str, import_from: str | os.PathLike[str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    imports = {} if import_from is None else {"PYTHONPATH": os.fspath(import_from)}
    return {**kept, "PATH": path, "HOME": home, "TF_CPP_MIN_LOG_LEVEL": "3", **imports}


@contextlib.contextmanager
def _process(
    command: Sequence[str], log: IO[bytes], environment: dict[str, str] | None = None, folder: str | None = None
) -> Iterator[int]:
    """Yields the id of a process in a group of its own, which is killed with all processes that it started."""
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder, start_new_session=True
    )
    try:
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, log: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((_LOCALHOST, port), timeout=1):
            return
        time.sleep(0.1)
    raise BadInputError(
        f"Beam's job server and worker pool must start within {timeout:g} seconds. Received: nothing at port {port}; "
        f"their output ends with {log.read_text(errors='replace')[-300:]!r}. Install apache-beam, or wait longer."
    )


def main() -> None:
    """Runs both until the user interrupts them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1, help="Number of worker processes for each job.")
    with portable_beam(parser.parse_args().workers) as beam:
        print(f"beam_pipeline_args: [{', '.join(beam.arguments)}]", flush=True)  # noqa: T201 (for the user)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
