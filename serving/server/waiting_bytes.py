"""Bounds the bytes of all requests that the server keeps, from the arrival of the first byte to the reply."""

from collections.abc import Iterator
from contextlib import contextmanager

from kerasbert_serving.server.statuses import Code, ServingError


class WaitingBytes:
    """The bytes of the requests that wait for a reply. Used on the event loop only.

    Args:
        limit: The size limit of all requests together. A request that is alone is never refused.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._total = 0

    @contextmanager
    def request(self) -> Iterator["RequestBytes"]:
        """Counts the bytes of one request until the context ends."""
        request = RequestBytes(self)
        try:
            yield request
        finally:
            self._total -= request.size

    def add(self, request: "RequestBytes", size: int) -> None:
        """Counts `size` more bytes of a request.

        Raises:
            ServingError: UNAVAILABLE if the server holds too many bytes of other requests.
        """
        others = self._total - request.size
        if size and others and self._total + size > self._limit:
            raise ServingError(
                Code.UNAVAILABLE,
                f"The requests that wait must not have more than {self._limit} bytes in total (`max_waiting_bytes`). "
                f"Received: {size} bytes more than {self._total}. Send the request again later.",
            )
        self._total += size
        request.size += size


class RequestBytes:
    """The bytes of one request.

    Attributes:
        size: The number of bytes so far.
    """

    def __init__(self, waiting: WaitingBytes):
        self.size = 0
        self._waiting = waiting

    def add(self, size: int) -> None:
        """Counts more bytes. Raises `ServingError` with UNAVAILABLE if the server holds too many."""
        self._waiting.add(self, size)
