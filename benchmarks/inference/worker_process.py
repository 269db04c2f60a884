"""The driver's side of the conversation with a worker; see `workers/worker_loop.py`."""

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.inference import environments
from benchmarks.inference.contestants import Contestant


class RowError(Exception):
    """Why a row has no numbers."""


class WorkerProcess:
    """A process that has loaded a model.

    Args:
        contestant: the row.
        model: the model folder.
        log: the file for the standard error of the process.
        timeout: how many seconds a reply may take.

    Attributes:
        versions: the versions of the packages.
        load_seconds: seconds that the model took to load.

    Raises:
        RowError: the environment is missing, or the model cannot be loaded.
    """

    def __init__(self, contestant: Contestant, model: Path, log: Path, timeout: float):
        self._log = log
        self._timeout = timeout
        self._replies: queue.Queue[str] = queue.Queue()
        try:
            python = environments.python_of(contestant.environment)
        except FileNotFoundError as error:
            raise RowError(str(error)) from error
        with log.open("w", encoding="utf-8") as stream:
            self._process = subprocess.Popen(
                [python, "-m", f"benchmarks.inference.workers.{contestant.worker}"],
                cwd=environments.ROOT,
                env=environments.variables_of(contestant.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        threading.Thread(target=self._read, daemon=True).start()
        options = {
            name: value.format(model=model) if isinstance(value, str) else value
            for name, value in contestant.options.items()
        }
        try:
            reply = self.ask(do="load", **options)
        except RowError:
            self.close()
            raise
        self.versions, self.load_seconds = reply["versions"], reply["seconds"]

    def _read(self) -> None:
        """Put replies into the queue, and an empty one at the end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply.

        Raises:
            RowError: the worker answers with an error, ends, or takes too long.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._replies.get(timeout=self._timeout)
        except (OSError, ValueError):  # the process has ended, or was ended after it took too long
            line = ""
        except queue.Empty:
            self.close()
            raise RowError(f"{request['do']} took longer than {self._timeout:.0f} s") from None
        if not line:
            raise RowError(last_line(self._log))
        reply = json.loads(line)
        if "error" in reply:
            raise RowError(reply["error"].strip().split("\n")[0][:300])
        return reply

    def memory_and_time(self) -> dict[str, float]:
        """Return the current and the largest resident memory of the process, and the processor time since its start."""
        times = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        cpu_s = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        lines = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8").splitlines()
        sizes = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if "kB" in value}
        memory = {"resident_mb": int(sizes["VmRSS"]) / 1024, "peak_mb": int(sizes["VmHWM"]) / 1024}
        return {**memory, "cpu_s": cpu_s}

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Workers:
    """The workers of one model at a time. They stay loaded, so that a later case need not load them again.

    Args:
        folder: the folder for log files.
        timeout: see `WorkerProcess`.
    """

    def __init__(self, folder: Path, timeout: float):
        self._folder = folder
        self._timeout = timeout
        self._model: Path | None = None
        self._processes: dict[str, WorkerProcess | RowError] = {}

    def get(self, contestant: Contestant, model: Path) -> WorkerProcess:
        """Return the worker of a contestant.

        Raises:
            RowError: it cannot be started. The same error is raised each time.
        """
        if model != self._model:
            self.close()
            self._model = model
        if contestant.name not in self._processes:
            try:
                self._processes[contestant.name] = self.start(contestant, model)
            except RowError as error:
                self._processes[contestant.name] = error
        found = self._processes[contestant.name]
        if isinstance(found, RowError):
            raise found
        return found

    def start(self, contestant: Contestant, model: Path) -> WorkerProcess:
        """Return a new worker, which the caller closes."""
        log = self._folder / f"{contestant.name.replace(' ', '_').replace(',', '')}.log"
        return WorkerProcess(contestant, model, log, self._timeout)

    def close(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            if isinstance(process, WorkerProcess):
                process.close()
        self._processes = {}
        # Their memory is given back before the next model is loaded.
        time.sleep(0.5)


def last_line(log: Path) -> str:
    """Return the last line of a log file that says something."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "the process ended without a message"
