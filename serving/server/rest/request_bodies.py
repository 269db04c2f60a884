"""Reads the bodies of HTTP requests within limits of size and time, and decompresses gzip.

After a refusal, the rest of the body is read for a while and thrown away, so that a client that is still sending can
read the reply.
"""

import asyncio
import time
import zlib
from collections.abc import Callable

from starlette.types import Receive

from kerasbert_serving.server.statuses import HTTP_STATUS, Code, ServingError

# How long, and how many bytes of, a refused body are read.
DISCARD_SECONDS = 5.0
DISCARD_BYTES = 2**30


class BodyError(Exception):
    """Raised for a body that is refused.

    Args:
        status: The HTTP status of the reply.
        message: The message for the client.
        code: The status code for the metrics.
    """

    def __init__(self, status: int, message: str, code: Code = Code.INVALID_ARGUMENT):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class ClientGoneError(Exception):
    """Raised if the client closes the connection before its body is complete."""


async def read_body(
    receive: Receive, headers: dict[bytes, bytes], limit: int, idle_seconds: float, count: Callable[[int], None]
) -> bytes:
    """Reads the body of a request, decompressed.

    Args:
        receive: The `receive` of ASGI.
        headers: The request's headers, with names in lower case.
        limit: The size limit of the body in bytes, compressed and decompressed.
        idle_seconds: How long to wait for the next part of the body.
        count: Called with the size of each part. Raises `ServingError` if the server holds too many bytes.

    Raises:
        BodyError: With status 413, 408 or 503 if the body exceeds a limit.
        ClientGoneError: If the client closes the connection.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        if headers.get(b"expect", b"").lower() != b"100-continue":
            await _discard(receive)
        raise _too_large(limit, int(length))
    body = await _read(receive, limit, idle_seconds, count)
    if b"gzip" in headers.get(b"content-encoding", b""):
        body = await asyncio.to_thread(unpack, body, limit)
        _count(count, len(body))
    return body


def unpack(body: bytes, limit: int) -> bytes:
    """Decompresses gzip data. As in TensorFlow Serving, the result is empty if the data is not gzip.

    Raises:
        BodyError: With status 413 as soon as the content exceeds the limit, so that a gzip bomb takes no memory.
    """
    parts, size = [], 0
    while body:
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            part = member.decompress(body, limit - size + 1)
        except zlib.error:
            return b""
        size += len(part)
        parts.append(part)
        if size > limit:
            raise BodyError(
                413, f"The decompressed request body must not be larger than {limit} bytes. Received: a larger one."
            )
        if not member.eof:
            return b""
        body = member.unused_data
    return b"".join(parts)


async def _read(receive: Receive, limit: int, idle_seconds: float, count: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            message = await asyncio.wait_for(receive(), idle_seconds)
        except asyncio.TimeoutError as error:
            raise BodyError(
                408,
                f"The request body must arrive without long pauses. Received: nothing for {idle_seconds:g} seconds.",
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            parts.clear()
            if message.get("more_body"):
                await _discard(receive)
            raise _too_large(limit, size)
        try:
            _count(count, len(parts[-1]))
        except BodyError:
            parts.clear()
            if message.get("more_body"):
                await _discard(receive)
            raise
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _count(count: Callable[[int], None], size: int) -> None:
    try:
        count(size)
    except ServingError as error:
        raise BodyError(HTTP_STATUS[error.code], error.message, error.code) from error


async def _discard(receive: Receive) -> None:
    deadline = time.monotonic() + DISCARD_SECONDS
    size = 0
    while size < DISCARD_BYTES:
        try:
            message = await asyncio.wait_for(receive(), deadline - time.monotonic())
        except asyncio.TimeoutError:
            return
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _too_large(limit: int, size: int) -> BodyError:
    return BodyError(
        413,
        f"The request body must not be larger than {limit} bytes. Received: {size} bytes or more. Send fewer rows per "
        "request.",
    )
