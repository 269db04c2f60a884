"""Produces replies of any size without keeping other clients waiting, and refuses those that are too large.

Python formats about a million numbers per second, and a reply can have many millions. On the event loop, this would
stop the whole server. Therefore, large replies are formatted in threads, in pieces that each take about a millisecond.
Between two pieces, the thread lets the event loop run. The replies take turns, so a smaller one does not wait until the
larger ones are complete.
"""

import asyncio
import io
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from kerasbert_serving.server.statuses import ServingError, invalid_argument

# A reply with more values is produced in a thread.
LONG_REPLY = 2**11
# More threads would only compete with each other for Python's interpreter lock.
THREADS = 2
# Pieces are joined to parts of at least this size, which are sent one by one.
PART_BYTES = 2**18
# Without a pause, the thread often takes the interpreter lock back before the event loop gets it.
PAUSE_SECONDS = 1e-4
# How long a reply is produced before the next one has its turn.
TURN_SECONDS = 0.05


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
        self.check(2 * values if values > LONG_REPLY else 0)  # each value takes a digit and a separator at least
        parts: list[bytes] = []
        await self._work(values, self._encoded(pieces, parts))
        return parts

    async def message(self, values: int, pieces: Callable[[], Iterable[bytes]]) -> bytes:
        """Joins an encoded message.

        Args:
            values: The number of values in the reply, which decides whether a thread is used.
            pieces: Returns the pieces of the encoded message. An empty one only lets other replies have their turn.

        Raises:
            ServingError: INVALID_ARGUMENT if the message is too large, or what `pieces` raises.
        """
        self.check(values)  # each value takes a byte at least
        message = io.BytesIO()  # joining all pieces in one call would hold the interpreter lock
        await self._work(values, self._joined(pieces, message))
        return message.getvalue()

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

    async def _work(self, values: int, steps: Iterator[None]) -> None:
        """Takes all steps, immediately or in threads. A reply whose client is gone takes no further turn."""
        if values <= LONG_REPLY:
            for _ in steps:
                pass
            return
        loop = asyncio.get_running_loop()
        while not await loop.run_in_executor(self._executor, _take_turn, steps):
            pass  # behind the other replies in the queue of the threads

    def _encoded(self, pieces: Callable[[], Iterable[str]], parts: list[bytes]) -> Iterator[None]:
        part, size = bytearray(), 0
        for piece in pieces():
            encoded = piece.encode("utf-8", "surrogateescape")
            size += len(encoded)
            self.check(size)
            part += encoded
            if len(part) >= PART_BYTES:
                parts.append(bytes(part))
                part.clear()
            yield
        parts.append(bytes(part))

    def _joined(self, pieces: Callable[[], Iterable[bytes]], message: io.BytesIO) -> Iterator[None]:
        for piece in pieces():
            message.write(piece)
            self.check(message.tell())
            yield

    def _too_large(self, size: int) -> ServingError:
        return invalid_argument(
            f"The reply must not be larger than {self._max_bytes} bytes (`max_reply_bytes`). Received: a request whose "
            f"reply has {size} bytes or more. Send fewer or shorter rows per request, or request fewer outputs."
        )


def _take_turn(steps: Iterator[None]) -> bool:
    """Takes steps for a while. Returns whether none are left."""
    end = time.monotonic() + TURN_SECONDS
    for _ in steps:
        time.sleep(PAUSE_SECONDS)
        if time.monotonic() > end:
            return False
    return True
