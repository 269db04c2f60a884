"""Sends ready-made requests as cheaply as Python can, so that the server is measured and not the client.

The requests are those of `kerasbert_serving.clients`; answers are read and not decoded.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import grpc
import numpy as np

from kerasbert_serving.clients.grpc_protocol import GrpcProtocol
from kerasbert_serving.clients.rest_protocol import RestProtocol
from kerasbert_serving.clients.target import Target

_GRPC_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Sender(Protocol):
    """Sends requests of one kind."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """A request with these texts, ready to be sent any number of times."""

    async def send(self, request: Any) -> str | None:
        """Sends it and waits for the answer: None, or the kind of error that came instead."""

    async def close(self) -> None:
        """Closes the connections."""


def _inputs(input_name: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    return {input_name: np.array(list(texts), np.object_)}


class RestSender:
    """Over REST, on as many connections as are asked for at once."""

    def __init__(self, url: str, target: Target, signature_name: str, input_name: str):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"The REST address must be a URL such as http://localhost:8501. Received: {url!r}.")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._head = f"Host: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._prefix = parts.path.rstrip("/")
        self._protocol = RestProtocol(target)
        self._signature_name = signature_name
        self._input_name = input_name
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def prepare(self, texts: Sequence[str]) -> bytes:
        """The bytes of a POST."""
        request = next(self._protocol.predict(self._signature_name, _inputs(self._input_name, texts)))
        line = f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\n"
        return f"{line}{self._head}Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body

    async def send(self, request: bytes) -> str | None:
        """Sends it, on a connection that is free or on a new one."""
        reader, writer = await self._connection()
        is_whole = False
        try:
            writer.write(request)
            status, is_whole = await _read_reply(reader)
        finally:
            if is_whole:
                self._idle.append((reader, writer))
            else:
                writer.close()
        return None if status == 200 else f"HTTP {status}"

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # a server closes what was idle for long
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls)

    async def close(self) -> None:
        """Closes the connections."""
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._idle.clear()


async def _read_reply(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of a reply, and whether its connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    headers = dict(line.split(b":", 1) for line in head.split(b"\r\n")[1:-2])
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        size = -1
        while size:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            await reader.readexactly(size + 2)
    elif b"content-length" in headers:
        await reader.readexactly(int(headers[b"content-length"]))
    else:
        await reader.read()
        return status, False
    return status, b"close" not in headers.get(b"connection", b"")


class GrpcSender:
    """Over gRPC, on one connection."""

    def __init__(self, address: str, target: Target, signature_name: str, input_name: str):
        self._channel = grpc.aio.insecure_channel(address, options=_GRPC_OPTIONS)
        self._protocol = GrpcProtocol(target)
        self._signature_name = signature_name
        self._input_name = input_name
        self._call = self._channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def prepare(self, texts: Sequence[str]) -> bytes:
        """The bytes of a PredictRequest."""
        request = next(self._protocol.predict(self._signature_name, _inputs(self._input_name, texts)))
        return request.message.SerializeToString()

    async def send(self, request: bytes) -> str | None:
        """Sends it."""
        try:
            await self._call(request)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return None

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()
