"""Starts and stops a server with its models, in the foreground (`serve`) or beside a test (`LocalServer`).

On SIGTERM and SIGINT the server stops listening, lets the requests under way finish, and leaves.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from kerasbert_serving.server.grpc.grpc_services import ModelService, PredictionService
from kerasbert_serving.server.metrics import Metrics
from kerasbert_serving.server.models.config_files import read_model_config_file, with_config_files
from kerasbert_serving.server.models.model_config import ModelConfig, model_configs
from kerasbert_serving.server.models.model_store import ModelStore
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.models.warmup import warm_up
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.rest.http_protocol import BoundedHttpProtocol
from kerasbert_serving.server.rest.rest_api import rest_application
from kerasbert_serving.server.serving_core import ServingCore
from kerasbert_serving.server.statuses import ServingError

log = logging.getLogger("kerasbert_serving")

# The full names of the services, the short ones of TensorFlow Serving, and the empty one for the whole server.
HEALTH_SERVICES = (
    "",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "PredictionService",
    "ModelService",
)


def serve(ready: Callable[[str], None] | None = None, **options: Any) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        ready: Gets one line with both addresses once the server answers; standard error by default.
        **options: The fields of `ServerOptions`: `model_dir`, `model_name`, `host`, `rest_port`, `grpc_port`, ...

    Raises:
        ServingError: If a model cannot be served.
        OSError: If a port cannot be listened on.
        ValueError: If the options contradict each other.
    """
    say = ready or (lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - the command's own output
    asyncio.run(_serve_until_signal(ServerOptions(**options), say))


async def _serve_until_signal(options: ServerOptions, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _Server(options)
    try:
        await server.start()
        # Else each full garbage collection looks through all of TensorFlow's objects: half a second of silence.
        gc.collect()
        gc.freeze()
        say(server.ready_line)
        await stop.wait()
    finally:
        await server.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class LocalServer:
    """A server in a thread of this process, for tests and notebooks.

    Args:
        **options: The fields of `ServerOptions`. Ports are 0 unless given: free ones are taken.

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
        self._server: _Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-server", daemon=True)

    @property
    def rest_url(self) -> str:
        """Where the REST API answers, without a path."""
        return f"http://{self.options.host}:{self.rest_port}"

    @property
    def grpc_address(self) -> str:
        """Where the gRPC API answers."""
        return f"{self.options.host}:{self.grpc_port}"

    def __enter__(self) -> "LocalServer":
        self._server = _Server(self.options)
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
        """Looks at the model folders now, and returns when what is new is loaded."""
        self._server.store.refresh()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Server:
    """The parts of a server, on the running event loop."""

    def __init__(self, options: ServerOptions):
        options = with_config_files(options)
        self.options = options
        self.rest_port = 0
        self.grpc_port = 0
        self.metrics = Metrics()
        self._executor = ThreadPoolExecutor(max_workers=max(4, 2 * (os.cpu_count() or 1)), thread_name_prefix="session")
        self.store = ModelStore(
            self._load,
            options.allow_version_labels_for_unavailable_models,
            options.max_num_load_retries,
            options.load_retry_interval_seconds,
            options.shutdown_grace_seconds,
        )
        self._health = health.aio.HealthServicer()
        self._grpc: grpc.aio.Server | None = None
        self._rest: _UvicornServer | None = None
        self._rest_task: asyncio.Task | None = None
        self._config_task: asyncio.Task | None = None

    @property
    def ready_line(self) -> str:
        host = self.options.host
        return f"Serving REST at http://{host}:{self.rest_port} and gRPC at {host}:{self.grpc_port}"

    async def start(self) -> None:
        # The ports are taken first: a port in use is said at once, and not after minutes of loading.
        listener = _listen(self.options.host, self.options.rest_port)
        try:
            configs = self._model_configs()
            await asyncio.to_thread(self.store.start, configs)
            core = ServingCore(self.store, self.metrics, self.options)
            await self._start_grpc(core)
            await self._start_rest(core, listener)
        except BaseException:
            listener.close()
            raise
        if self.options.file_system_poll_wait_seconds > 0:
            self.store.watch(self.options.file_system_poll_wait_seconds)
        if self.options.model_config_file and self.options.model_config_file_poll_wait_seconds > 0:
            self._config_task = asyncio.ensure_future(self._watch_config_file())

    def _model_configs(self) -> list[ModelConfig]:
        if self.options.model_config_file:
            return model_configs(read_model_config_file(self.options.model_config_file))
        return [ModelConfig(self.options.model_name, Path(self.options.model_dir).absolute())]

    async def _start_grpc(self, core: ServingCore) -> None:
        self._grpc = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self.options.max_grpc_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(core), self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(core), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        self.grpc_port = self._grpc.add_insecure_port(f"{self.options.host}:{self.options.grpc_port}")
        if not self.grpc_port:
            raise OSError(f"Cannot listen on {self.options.host}:{self.options.grpc_port}")
        await self._grpc.start()
        for service in HEALTH_SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def _start_rest(self, core: ServingCore, listener: socket.socket) -> None:
        config = uvicorn.Config(
            rest_application(core),
            http=BoundedHttpProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=max(1, round(self.options.shutdown_grace_seconds)),
        )
        self._rest = _UvicornServer(config)
        self._rest_task = asyncio.ensure_future(self._rest.serve(sockets=[listener]))
        while not self._rest.started:
            if self._rest_task.done():
                self._rest_task.result()
                raise OSError("The REST server did not start.")
            await asyncio.sleep(0.001)
        self.rest_port = listener.getsockname()[1]

    async def stop(self) -> None:
        if self._config_task:
            self._config_task.cancel()
        await self._health.enter_graceful_shutdown()
        grace = self.options.shutdown_grace_seconds
        work = []
        if self._grpc:
            work.append(self._grpc.stop(grace))
        if self._rest_task:
            self._rest.should_exit = True
            work.append(self._rest_task)
        await asyncio.gather(*work)
        await asyncio.to_thread(self.store.close)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _load(self, name: str, number: int, path: Path) -> Servable:
        start = time.perf_counter()
        try:
            servable = Servable(name, number, path, self._executor, self.options)
        except ServingError:
            self.metrics.load(str(path), "fail")
            raise
        self.metrics.load(str(path), "success")
        if self.options.enable_model_warmup:
            try:
                records = warm_up(servable, self.options.num_request_iterations_for_warmup)
            except BaseException:
                servable.close()
                raise
            if records:
                self.metrics.warmed_up(str(path), "OK", records, time.perf_counter() - start)
        return servable

    async def _watch_config_file(self) -> None:
        while True:
            await asyncio.sleep(self.options.model_config_file_poll_wait_seconds)
            try:
                configs = self._model_configs()
                await asyncio.to_thread(self.store.reload, configs)
            except ServingError as error:
                log.error("The model configuration file was not followed: %s", error)
            except Exception:  # without this task no change of the file would ever be followed
                log.exception("The model configuration file was not followed")


class _UvicornServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the business of `serve`, and a thread has none


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: 40 ms a reply otherwise.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"Cannot listen on {host}:{port}: {error.strerror}") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener
