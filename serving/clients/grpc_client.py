"""Clients of TF Serving's gRPC API.

Retries are the clients' own, so that they are the same over REST and gRPC; a lost connection is taken up again soon, or
gRPC's own pause of a second would outlast them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from kerasbert_serving.clients import errors
from kerasbert_serving.clients.async_client import AsyncClient
from kerasbert_serving.clients.blocking_client import BlockingClient
from kerasbert_serving.clients.grpc_protocol import REPLIES, GrpcProtocol, GrpcRequest
from kerasbert_serving.clients.retries import Deadline, Retries
from kerasbert_serving.clients.target import Target

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
]


class _Grpc:
    """What both gRPC clients share: the address, the channel's options and the metadata."""

    def _locate(
        self,
        address: str,
        metadata: Mapping[str, str] | None,
        credentials: grpc.ChannelCredentials | None,
        options: Sequence[tuple[str, Any]],
    ) -> None:
        if "://" in address and address.startswith(("http:", "https:", "grpc:")):
            raise ValueError(f"`address` must be host:port, without a scheme. Received: address={address!r}.")
        self._address = address
        self._metadata = tuple((name.lower(), value) for name, value in (metadata or {}).items())
        self._credentials = credentials
        self._options = [*_OPTIONS, *options]

    def _open(self, package: Any) -> Any:
        if self._credentials is None:
            return package.insecure_channel(self._address, options=self._options)
        return package.secure_channel(self._address, self._credentials, options=self._options)


def _calls(channel: Any) -> dict[str, Any]:
    return {
        method: channel.unary_unary(
            method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        for method, reply in REPLIES.items()
    }


def _error(error: grpc.RpcError, deadline: Deadline) -> errors.ServingClientError:
    code = error.code().name
    if code == "DEADLINE_EXCEEDED" and not deadline.allows(0):
        return errors.deadline_exceeded(deadline.seconds)
    return errors.of_code(code, error.details() or "")


class GrpcClient(_Grpc, BlockingClient):
    """Asks one model over gRPC, blocking.

    Args:
        address: Where the gRPC API answers, such as "localhost:8500".
        model_name: The model's name on the server.
        version: A version of it; the newest by default.
        label: A label of a version instead.
        timeout: Seconds for a call, retries included.
        retries: When to send a request again.
        metadata: gRPC metadata of each call, such as `{"authorization": "Bearer ..."}`.
        credentials: For TLS, such as `grpc.ssl_channel_credentials()`; without them nothing is encrypted.
        options: More channel options; they win over this client's.

    Example:

        with GrpcClient("localhost:8500", "bert") as client:
            print(client.classify("how do I track my card?").label)
    """

    def __init__(
        self,
        address: str,
        model_name: str = "model",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        metadata: Mapping[str, str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ):
        super().__init__(GrpcProtocol, Target(model_name, version, label), timeout, retries or Retries())
        self._locate(address, metadata, credentials, options)
        self._channel = self._open(grpc)
        self._calls = _calls(self._channel)

    def close(self) -> None:
        """Closes the connections."""
        self._channel.close()

    def _exchange(self, request: GrpcRequest, deadline: Deadline) -> Message:
        call = self._calls[request.method]
        try:
            return call(request.message, timeout=deadline.left(), metadata=self._metadata)
        except grpc.RpcError as error:
            raise _error(error, deadline) from error


class AsyncGrpcClient(_Grpc, AsyncClient):
    """Asks one model over gRPC, asynchronously; the arguments are those of `GrpcClient`.

    Example:

        async with AsyncGrpcClient("localhost:8500", "bert") as client:
            answers = await client.classify(["how do I track my card?", "where is my money?"])
    """

    def __init__(
        self,
        address: str,
        model_name: str = "model",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        metadata: Mapping[str, str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ):
        super().__init__(GrpcProtocol, Target(model_name, version, label), timeout, retries or Retries())
        self._locate(address, metadata, credentials, options)
        # Opened by the first call, because the channel belongs to the event loop that runs then.
        self._shared: dict[str, Any] = {}

    async def close(self) -> None:
        """Closes the connections."""
        if self._shared:
            await self._shared["channel"].close()
            self._shared.clear()

    async def _exchange(self, request: GrpcRequest, deadline: Deadline) -> Message:
        if not self._shared:
            channel = self._open(grpc.aio)
            self._shared.update(channel=channel, calls=_calls(channel))
        call = self._shared["calls"][request.method]
        try:
            reply = await call(request.message, timeout=deadline.left(), metadata=self._metadata)
        except grpc.RpcError as error:
            raise _error(error, deadline) from error
        if reply is None:  # what the blocking channel reports itself
            raise errors.of_code("INTERNAL", "Exception deserializing response!")
        return reply
