"""Reads the body of an HTTP request within limits of size and patience, and unpacks gzip.

What is read after a refusal is thrown away for a while, so that a client that is still sending can read the reply.
"""

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable

Receive = Callable[[], Awaitable[dict]]

# How long, and how much, a refused body is read on.
DISCARD_SECONDS = 5.0
DISCARD_BYTES = 2**30


class BodyError(Exception):
    """A body that is refused, with the HTTP status that says why."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


class ClientGoneError(Exception):
    """The client hung up before its body was complete."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int, idle_seconds: float) -> bytes:
    """The body of a request, unpacked.

    Args:
        receive: The `receive` of ASGI.
        headers: The request's headers, names in lower case.
        limit: The most bytes that the body may have, packed and unpacked.
        idle_seconds: How long to wait for its next part.

    Raises:
        BodyError: With status 413 or 408 if the body exceeds a limit.
        ClientGoneError: If the client hung up.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        if headers.get(b"expect", b"").lower() != b"100-continue":
            await _discard(receive)
        raise _too_large(limit, int(length))
    body = await _read(receive, limit, idle_seconds)
    if b"gzip" in headers.get(b"content-encoding", b""):
        return await asyncio.to_thread(unpack, body, limit)
    return body


def unpack(body: bytes, limit: int) -> bytes:
    """The content of gzip data; empty where the data is not gzip, as TensorFlow Serving has it.

    Raises:
        BodyError: With status 413 as soon as the content exceeds the limit: a bomb is never blown up.
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
                413, f"The request body must not unpack to more than {limit} bytes. Received: more than that."
            )
        if not member.eof:
            return b""
        body = member.unused_data
    return b"".join(parts)


async def _read(receive: Receive, limit: int, idle_seconds: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            message = await asyncio.wait_for(receive(), idle_seconds)
        except asyncio.TimeoutError as error:
            raise BodyError(
                408, f"The request body must keep coming. Received: nothing for {idle_seconds:g} seconds."
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
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


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
        f"The request body must not be larger than {limit} bytes. Received: {size} bytes or more. Send fewer rows a "
        "request.",
    )
