"""The asynchronous client of TF Serving's REST API, on httpcore's connection pools.

It uses httpcore and not httpx, which is built on it: httpcore's network backend is the place where every single read
and write can be limited to the end of the whole call, so a server that sends one byte now and then cannot prolong it.
"""

import ssl
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

import httpcore

from kerasbert_serving.clients import errors
from kerasbert_serving.clients.addresses import RestServer
from kerasbert_serving.clients.asynchronous.calls import AsyncClient
from kerasbert_serving.clients.rest_protocol import HttpReply, HttpRequest, RestProtocol, checked
from kerasbert_serving.clients.retries import Deadline, Retries
from kerasbert_serving.clients.target import Target

_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)


class AsyncRestClient(AsyncClient):
    """Asks one model over REST, asynchronously.

    The environment variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are followed; a server on this
    machine is always asked directly.

    Args:
        url: Address of the REST API, e.g. "http://localhost:8501". A path may follow, which is put before `/v1`.
        model_name: The model's name on the server.
        version: Version to ask. By default the newest.
        label: Label of the version to ask, instead of `version`.
        timeout: Seconds for a call, retries included.
        retries: When to send a request again.
        headers: Additional headers, e.g. `{"authorization": "Bearer ..."}`.
        ssl_context: Trusted certificates, and the client's own. By default the system's and certifi's are trusted.
        max_connections: Maximum number of connections that are open at the same time.

    Raises:
        ValueError: If an argument is invalid, or the environment names a proxy that cannot be used.

    Example:

        async with AsyncRestClient("http://localhost:8501", "bert") as client:
            answers = await client.classify(["how do I track my card?", "where is my money?"])
    """

    def __init__(
        self,
        url: str,
        model_name: str = "model",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 100,
    ):
        super().__init__(RestProtocol, Target(model_name, version, label), timeout, retries or Retries())
        self._server = RestServer(url, headers)
        options: dict[str, Any] = {
            "ssl_context": ssl_context,
            "max_connections": max_connections,
            "network_backend": _AsyncDeadlineBackend(),
        }
        if self._server.proxy:
            self._pool: httpcore.AsyncConnectionPool = httpcore.AsyncHTTPProxy(
                self._server.proxy.url, proxy_auth=self._server.proxy.user, **options
            )
        else:
            self._pool = httpcore.AsyncConnectionPool(**options)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _exchange(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        _deadline.set(deadline)
        try:
            response = await self._pool.request(
                request.method,
                self._server.url + request.path,
                headers=self._server.headers_of(request),
                content=request.body or None,
                extensions={"timeout": {"pool": deadline.left()}},
            )
        except httpcore.TimeoutException as error:
            raise errors.deadline_exceeded(deadline.seconds, self._server.proxy) from error
        except _BROKEN as error:
            raise self._server.unavailable(error) from error
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return checked(HttpReply(response.status, headers, response.content), self._server.proxy)


# === A deadline for every read and write ===

# The deadline of the call that the current thread or task makes.
_deadline: ContextVar[Deadline] = ContextVar("deadline")


def _left() -> float:
    try:
        return _deadline.get().left()
    except errors.DeadlineError as error:
        raise httpcore.ReadTimeout from error


class _AsyncDeadlineBackend(httpcore.AsyncNetworkBackend):
    """httpcore's own network, where the current call's deadline limits each step."""

    def __init__(self) -> None:
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(host, port, _left(), local_address, socket_options)
        return _AsyncDeadlineStream(stream)


class _AsyncDeadlineStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream):
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, _left())

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, _left())

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncDeadlineStream(await self._stream.start_tls(ssl_context, server_hostname, _left()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
