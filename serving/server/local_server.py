"""Runs a server in the foreground (`serve`) or in a thread of a test or notebook (`LocalServer`).

On SIGTERM and SIGINT, the server stops listening, lets the requests in progress finish, and ends.
"""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.ports import address
from kerasbert_serving.server.running_server import RunningServer


def serve(ready: Callable[[str], None] | None = None, **options: Any) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        ready: Called with one line that contains both addresses once the server answers. By default, the line is
            written to standard error, after one that tells what runs the models.
        **options: The fields of `ServerOptions`: `model_dir`, `model_name`, `host`, `rest_port`, `grpc_port`, ...

    Raises:
        ServingError: If a model cannot be served.
        PortError: If the server cannot listen on a port. The models are not loaded then.
        ValueError: If the options contradict each other, or if the runtime that they require is not available.
    """
    asyncio.run(_serve_until_signal(ServerOptions(**options), ready))


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the output of the command


async def _serve_until_signal(options: ServerOptions, ready: Callable[[str], None] | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = RunningServer(options)
    try:
        await server.start()
        # Otherwise, a full garbage collection visits all objects of the imported packages, which stops the server. With
        # TensorFlow's Python package, this takes half a second.
        gc.collect()
        gc.freeze()
        if ready is None:
            _print(server.runtime_line)
        (ready or _print)(server.ready_line)
        await stop.wait()
    finally:
        await server.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class LocalServer:
    """A server in a thread of this process, for tests and notebooks.

    Args:
        **options: The fields of `ServerOptions`. By default, the ports are 0, which takes free ones.

    Attributes:
        rest_port: The port of the REST API.
        grpc_port: The port of the gRPC API.

    Example:

        with LocalServer(model_dir="export", model_name="bert") as server:
            httpx.post(f"{server.rest_url}/v1/models/bert:predict", json={"instances": ["a text"]})
    """

    def __init__(self, **options: Any):
        self.options = ServerOptions(**{"rest_port": 0, "grpc_port": 0, **options})
        self.rest_port = 0
        self.grpc_port = 0
        self._server: Any = None  # a `RunningServer` within the context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-server", daemon=True)

    @property
    def rest_url(self) -> str:
        """The address of the REST API, without a path."""
        return f"http://{address(self.options.host, self.rest_port)}"

    @property
    def grpc_address(self) -> str:
        """The address of the gRPC API."""
        return address(self.options.host, self.grpc_port)

    def __enter__(self) -> "LocalServer":
        self._server = RunningServer(self.options)
        self._thread.start()
        try:
            self._call(self._server.start())
        except BaseException:
            self.__exit__()
            raise
        self.rest_port, self.grpc_port = self._server.rest_port, self._server.grpc_port
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._call(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refresh(self) -> None:
        """Checks the model folders now. Returns when new versions are loaded."""
        self._server.store.refresh()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
