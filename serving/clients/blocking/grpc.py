# Generated from serving/clients/asynchronous/grpc.py by
# tests/serving/clients/make_blocking_clients.py. Edit that file, not this one.
"""The blocking client of TF Serving's gRPC API.

Retries are the client's own, so that they are the same over REST and gRPC. A lost connection is opened again soon:
gRPC's own pause of one second would last longer than all retries.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from kerasbert_serving.clients import errors
from kerasbert_serving.clients.addresses import GrpcServer, blocking_grpc
from kerasbert_serving.clients.blocking.calls import BlockingClient
from kerasbert_serving.clients.grpc_protocol import GrpcProtocol, GrpcRequest, calls_of, error_of
from kerasbert_serving.clients.retries import Deadline, Retries
from kerasbert_serving.clients.target import Target


class GrpcClient(BlockingClient):
    """Asks one model over gRPC, blocking.

    The environment variables `grpc_proxy`, `https_proxy`, `http_proxy`, `no_grpc_proxy` and `no_proxy` are followed; a
    server on this machine is always asked directly.

    Args:
        address: Address of the gRPC API, e.g. "localhost:8500", or a name that gRPC resolves, e.g.
            "dns:///bert-serving-pods:8500".
        model_name: The model's name on the server.
        version: Version to ask. By default the newest.
        label: Label of the version to ask, instead of `version`.
        timeout: Seconds for a call, retries included.
        retries: When to send a request again.
        metadata: gRPC metadata of each call, e.g. `{"authorization": "Bearer ..."}`.
        credentials: Credentials for TLS, e.g. `grpc.ssl_channel_credentials()`. Without them nothing is encrypted.
        options: Additional channel options. They override this client's own.

    Raises:
        ValueError: If an argument is invalid, or the environment names a proxy that cannot be used.

    Example:

        with GrpcClient("localhost:8500", "bert") as client:
            answers = client.classify(["how do I track my card?", "where is my money?"])
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
        self._server = GrpcServer(address, metadata, credentials, options)
        # Opened by the first call, as in the asynchronous client.
        self._opened: dict[str, Any] = {}
        self._opening = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        if "channel" in self._opened:
            self._opened["channel"].close()
            self._opened.clear()

    def _exchange(self, request: GrpcRequest, deadline: Deadline) -> Message:
        with self._opening:
            if "calls" not in self._opened:
                self._opened["channel"] = self._server.open(blocking_grpc)
                self._opened["calls"] = calls_of(self._opened["channel"])
            call = self._opened["calls"][request.method]
        try:
            reply = call(request.message, timeout=deadline.left(), metadata=self._server.metadata)
        except grpc.RpcError as error:
            raise error_of(error, deadline, self._server.proxy) from error
        if reply is None:  # grpc.aio reports a reply that it cannot parse this way
            raise errors.of_code("INTERNAL", "Exception deserializing response!")
        return reply
