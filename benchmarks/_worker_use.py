"""Measures the processor time and the peak memory of worker processes, by polling /proc (Linux)."""

import contextlib
import os
import threading
from pathlib import Path

_SECONDS_BETWEEN = 0.1
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat after the name, which may contain spaces: the parent, the time in and for the process, and
# the resident memory.
_PARENT, _USER_TIME, _SYSTEM_TIME, _PAGES = 1, 11, 12, 21


class WorkerUse:
    """A context manager that measures processes, also those that end before the block does.

    Args:
        parent: The id of the process whose children are measured, or None for this process itself.
    """

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._first_ticks: dict[int, int] = {}
        self._ticks: dict[int, int] = {}
        self._peak_pages = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def core_seconds(self) -> float:
        """Processor time of all processes together, in the block."""
        return sum(ticks - self._first_ticks[process] for process, ticks in self._ticks.items()) / _TICKS_PER_SECOND

    @property
    def peak_megabytes(self) -> float:
        """Peak memory of the process that took most, in 10^6 bytes."""
        return self._peak_pages * _PAGE_BYTES / 1e6

    def __enter__(self) -> "WorkerUse":
        # What a process used before does not count. A process that starts later counts as a whole.
        self._poll()
        self._first_ticks = dict(self._ticks)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_SECONDS_BETWEEN):
            self._poll()
        self._poll()

    def _poll(self) -> None:
        for folder in Path("/proc").glob("[0-9]*") if self._parent else [Path("/proc", str(os.getpid()))]:
            # A process may have ended since it was listed.
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if self._parent is None or int(fields[_PARENT]) == self._parent:
                    process = int(folder.name)
                    self._first_ticks.setdefault(process, 0)
                    self._ticks[process] = int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])
                    self._peak_pages = max(self._peak_pages, int(fields[_PAGES]))
