"""Sends prepared requests as cheaply as Python can, so that the server is measured and not the client.

The requests are those of `kerasbert_serving.clients`. Replies are read but not decoded.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import grpc
import numpy as np

from kerasbert_serving.clients.addresses import GrpcServer, RestServer, async_grpc
from kerasbert_serving.clients.grpc_protocol import GrpcProtocol
from kerasbert_serving.clients.proxies import Proxy
from kerasbert_serving.clients.rest_protocol import RestProtocol
from kerasbert_serving.clients.target import Target

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Sender(Protocol):
    """Sends requests of one kind.

    Attributes:
        proxy: The proxy that the environment names for the server, or None.
    """

    proxy: Proxy | None

    def prepare(self, texts: Sequence[str]) -> Any:
        """Return a request with these texts, which can be sent any number of times."""

    async def send(self, request: Any) -> str | None:
        """Send a request and wait for the reply: return None, or the kind of error."""

    async def close(self) -> None:
        """Close the connections."""


def _inputs(input_name: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    return {input_name: np.array(list(texts), np.object_)}


class RestSender:
    """Sends requests over REST, on as many connections as there are requests at the same time."""

    def __init__(self, url: str, target: Target, signature_name: str, input_name: str):
        self._server = RestServer(url)
        self.proxy = self._server.proxy
        self._parts = urlsplit(self._server.url)
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None
        self._protocol = RestProtocol(target)
        self._signature_name = signature_name
        self._input_name = input_name
        self._idle: list[_Connection] = []

    def prepare(self, texts: Sequence[str]) -> bytes:
        """Return the bytes of a POST request."""
        request = next(self._protocol.predict(self._signature_name, _inputs(self._input_name, texts)))
        # A proxy is sent the whole URL; within a tunnel, the server is sent the path as usual.
        through_proxy = self.proxy is not None and self._tls is None
        path = (self._server.url if through_proxy else self._parts.path) + request.path
        lines = [
            f"{request.method} {path} HTTP/1.1",
            f"Host: {self._parts.netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(request.body)}",
        ]
        return _head(lines, self.proxy if through_proxy else None) + request.body

    async def send(self, request: bytes) -> str | None:
        """Send a request on an idle connection or on a new one."""
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

    async def _connection(self) -> _Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # a server closes connections that were idle for long
                return reader, writer
            writer.close()
        host, port = self._server.host, self._server.port
        if self.proxy is None:
            return await asyncio.open_connection(host, port, ssl=self._tls)
        proxy = urlsplit(self.proxy.url)
        tls = ssl.create_default_context() if proxy.scheme == "https" else None
        reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port, ssl=tls)
        if self._tls is None:
            return reader, writer
        return await _tunnel(reader, writer, self.proxy, host, port, self._tls)

    async def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._idle.clear()


def _head(lines: list[str], proxy: Proxy | None) -> bytes:
    """The head of a request, with the proxy's credentials if it is sent to one."""
    if proxy is not None and proxy.user:
        credentials = base64.b64encode(":".join(proxy.user).encode()).decode()
        lines = [*lines, f"Proxy-Authorization: Basic {credentials}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    proxy: Proxy,
    host: str,
    port: int,
    tls: ssl.SSLContext,
) -> _Connection:
    """Open a tunnel through the proxy, and TLS with the server in it."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer.write(_head([f"CONNECT {address} HTTP/1.1", f"Host: {address}"], proxy))
    status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
    if status != b"200":
        writer.close()
        raise ConnectionRefusedError(f"The proxy answered {status.decode()}")
    loop = asyncio.get_running_loop()
    tunnel = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(tunnel, loop=loop)
    transport = await loop.start_tls(writer.transport, protocol, tls, server_hostname=host)
    assert transport is not None  # typeshed allows it for transports without TLS
    protocol.connection_made(transport)
    return tunnel, asyncio.StreamWriter(transport, protocol, tunnel, loop)


async def _read_reply(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of a reply, and whether its connection can be used again."""
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
    """Sends requests over gRPC, on one connection."""

    def __init__(self, address: str, target: Target, signature_name: str, input_name: str):
        server = GrpcServer(address)
        self.proxy = server.proxy
        self._channel = server.open(async_grpc)
        self._protocol = GrpcProtocol(target)
        self._signature_name = signature_name
        self._input_name = input_name
        self._call = self._channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def prepare(self, texts: Sequence[str]) -> bytes:
        """Return the bytes of a PredictRequest."""
        request = next(self._protocol.predict(self._signature_name, _inputs(self._input_name, texts)))
        return request.message.SerializeToString()

    async def send(self, request: bytes) -> str | None:
        """Send a request."""
        try:
            await self._call(request)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return None

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
