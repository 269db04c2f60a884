"""Produces replies of any size without keeping other clients waiting, and refuses those that are too large.

Python formats about a million numbers per second, and a reply can have many millions. On the event loop, this would
stop the whole server. Therefore, large replies are formatted in a thread, in pieces that each take about a millisecond.
Between two pieces, the thread lets the event loop run.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kerasbert_serving.server.statuses import ServingError, invalid_argument

# A reply with more values is produced in a thread.
LONG_REPLY = 2**11
# More threads would only compete with each other for Python's interpreter lock.
THREADS = 2
# Pieces are joined to parts of at least this size, which are sent one by one.
PART_BYTES = 2**18
# Without a pause, the thread often takes the interpreter lock back before the event loop gets it.
PAUSE_SECONDS = 1e-4

Result = TypeVar("Result")


class Replies:
    """The threads that produce replies, and the limit of a reply's size.

    Args:
        max_bytes: The size limit of a reply. A larger one is refused with INVALID_ARGUMENT.
    """

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="replies")

    async def text(self, values: int, pieces: Callable[[], Iterable[str]]) -> list[bytes]:
        """Encodes a text.

        Args:
            values: The number of values in the reply, which decides whether a thread is used.
            pieces: Returns the pieces of the text. Not called on the event loop if there are many values.

        Returns:
            The encoded text in parts, to be sent one by one.

        Raises:
            ServingError: INVALID_ARGUMENT if the text is too large, or what `pieces` raises.
        """
        if values <= LONG_REPLY:
            return self._collected(pieces(), pause=False)
        self.check(2 * values)  # each value takes a digit and a separator at least
        cancelled = threading.Event()
        try:
            return await self._in_thread(lambda: self._collected(pieces(), pause=True, cancelled=cancelled))
        finally:
            cancelled.set()

    async def message(self, values: int, encode: Callable[[], bytes]) -> bytes:
        """Encodes a message.

        Args:
            values: The number of values in the reply, which decides whether a thread is used.
            encode: Returns the encoded message.

        Raises:
            ServingError: INVALID_ARGUMENT if the message is too large, or what `encode` raises.
        """
        self.check(values)  # each value takes a byte at least
        encoded = encode() if values <= LONG_REPLY else await self._in_thread(encode)
        self.check(len(encoded))
        return encoded

    def check(self, size: int) -> None:
        """Checks the size of a reply in bytes.

        Raises:
            ServingError: INVALID_ARGUMENT if the reply is too large.
        """
        if size > self._max_bytes:
            raise self._too_large(size)

    def close(self) -> None:
        """Lets the threads end once they are idle."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _collected(self, pieces: Iterable[str], pause: bool, cancelled: threading.Event | None = None) -> list[bytes]:
        parts, part, size = [], bytearray(), 0
        for piece in pieces:
            encoded = piece.encode("utf-8", "surrogateescape")
            size += len(encoded)
            self.check(size)
            part += encoded
            if len(part) >= PART_BYTES:
                parts.append(bytes(part))
                part.clear()
            if cancelled is not None and cancelled.is_set():
                return []
            if pause:
                time.sleep(PAUSE_SECONDS)
        return [*parts, bytes(part)]

    def _too_large(self, size: int) -> ServingError:
        return invalid_argument(
            f"The reply must not be larger than {self._max_bytes} bytes (`max_reply_bytes`). Received: a request whose "
            f"reply has {size} bytes or more. Send fewer or shorter rows per request, or request fewer outputs."
        )
