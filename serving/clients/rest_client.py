"""Clients of TF Serving's REST API, on httpcore's connection pools.

httpcore and not httpx above it: its network backend is the place where every single read and write can be held to the
end of the whole call, so that a server that sends a byte now and then does not stretch a deadline.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore

from kerasbert_serving.clients import errors
from kerasbert_serving.clients.async_client import AsyncClient
from kerasbert_serving.clients.blocking_client import BlockingClient
from kerasbert_serving.clients.rest_protocol import HttpReply, HttpRequest, RestProtocol, checked
from kerasbert_serving.clients.retries import Deadline, Retries
from kerasbert_serving.clients.target import Target

_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError)


class _Rest:
    """What both REST clients share: where to send to, and with which headers."""

    def _locate(self, url: str, headers: Mapping[str, str] | None) -> None:
        url = url.rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"`url` must begin with http:// or https://. Received: url={url!r}.")
        self._url = url
        self._headers = {"content-type": "application/json", **{k.lower(): v for k, v in (headers or {}).items()}}

    def _arguments(self, request: HttpRequest) -> dict[str, Any]:
        headers = dict(self._headers)
        if request.method == "GET":
            del headers["content-type"]
        return {
            "method": request.method,
            "url": self._url + request.path,
            "headers": headers,
            "content": request.body or None,
        }

    @staticmethod
    def _reply(response: httpcore.Response) -> HttpReply:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return checked(HttpReply(response.status, headers, response.content))


class RestClient(_Rest, BlockingClient):
    """Asks one model over REST, blocking.

    Args:
        url: Where the REST API answers, such as "http://localhost:8501"; a path before `/v1` may follow.
        model_name: The model's name on the server.
        version: A version of it; the newest by default.
        label: A label of a version instead.
        timeout: Seconds for a call, retries included.
        retries: When to send a request again.
        headers: More headers, such as `{"authorization": "Bearer ..."}`.
        ssl_context: Which certificates to trust and to show; the system's by default.
        max_connections: How many connections are open at once.

    Example:

        with RestClient("http://localhost:8501", "bert") as client:
            print(client.classify("how do I track my card?").label)
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
        self._locate(url, headers)
        self._backend = _DeadlineBackend()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context, max_connections=max_connections, network_backend=self._backend
        )

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def _exchange(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        self._backend.current.deadline = deadline
        wait = {"pool": deadline.left()}
        try:
            response = self._pool.request(**self._arguments(request), extensions={"timeout": wait})
        except httpcore.TimeoutException as error:
            raise errors.deadline_exceeded(deadline.seconds) from error
        except _BROKEN as error:
            raise _unavailable(self._url, error) from error
        return self._reply(response)


class AsyncRestClient(_Rest, AsyncClient):
    """Asks one model over REST, asynchronously; the arguments are those of `RestClient`.

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
        self._locate(url, headers)
        self._pool = httpcore.AsyncConnectionPool(ssl_context=ssl_context, max_connections=max_connections)

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.aclose()

    async def _exchange(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        try:
            response = await asyncio.wait_for(self._pool.request(**self._arguments(request)), deadline.left())
        except (httpcore.TimeoutException, asyncio.TimeoutError) as error:
            raise errors.deadline_exceeded(deadline.seconds) from error
        except _BROKEN as error:
            raise _unavailable(self._url, error) from error
        return self._reply(response)


def _unavailable(url: str, error: Exception) -> errors.UnavailableError:
    # As gRPC says it: whoever breaks a connection, or does not take one, is unavailable.
    return errors.UnavailableError(f"{url} broke the connection, or took none: {error}", "UNAVAILABLE")


# === A deadline for every read and write ===


class _DeadlineBackend(httpcore.NetworkBackend):
    """httpcore's own network, with the deadline of the thread's call as the time limit of each step."""

    def __init__(self):
        self._network = httpcore.SyncBackend()
        self.current = threading.local()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._network.connect_tcp(host, port, self.left(), local_address, socket_options)
        return _DeadlineStream(stream, self)

    def left(self) -> float:
        try:
            return self.current.deadline.left()
        except errors.DeadlineError as error:
            raise httpcore.ReadTimeout from error


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, backend: _DeadlineBackend):
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(
            self._stream.start_tls(ssl_context, server_hostname, self._backend.left()), self._backend
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
