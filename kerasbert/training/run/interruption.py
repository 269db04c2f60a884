"""Turns Ctrl-C and SIGTERM into a request that a loop can act on between two steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interruption:
    """The signal that was received, or None."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def error(self) -> BaseException:
        """Return the exception that ends the program as the signal would: KeyboardInterrupt, or exit code 143."""
        if self.signal == signal.SIGTERM:
            return SystemExit(128 + signal.SIGTERM)
        return KeyboardInterrupt()


@contextlib.contextmanager
def noted_interruption() -> Iterator[Interruption]:
    """Record the first Ctrl-C or SIGTERM within the block instead of raising. A second one takes effect immediately.

    Outside the main thread, where Python allows no signal handlers, nothing is recorded.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        interruption.signal = number
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        restore()
