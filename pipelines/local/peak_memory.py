"""Measures the peak memory of this process and its children during a block, by polling."""

import contextlib
import os
import resource
import threading
from pathlib import Path

_SECONDS_BETWEEN = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """A context manager that measures peak memory.

    Without `/proc` (macOS) it is the peak since the process began.

    Attributes:
        megabytes: The peak, in 10^6 bytes, after the block.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, resident_bytes() / 1e6)
            if self._stop.wait(_SECONDS_BETWEEN):
                return


def resident_bytes() -> int:
    """Returns the present memory of this process and all processes below it."""
    if not Path("/proc/self/statm").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return sum(_resident_bytes_of(process) for process in _with_children(os.getpid()))


def _with_children(process: int) -> list[int]:
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            # A thread or a process may have ended since it was listed.
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def _resident_bytes_of(process: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0
