"""The parts of a running server, and the order in which they start and stop."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from kerasbert_serving import protos
from kerasbert_serving.server.grpc.grpc_services import GrpcApi
from kerasbert_serving.server.metrics import Metrics
from kerasbert_serving.server.models.config_files import (
    ModelConfig,
    model_configs,
    read_model_config_file,
    with_config_files,
)
from kerasbert_serving.server.models.model_store import ModelStore
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.models.warmup import warm_up
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.ports import address, listen_for_grpc, listen_for_rest
from kerasbert_serving.server.rest.http_protocol import BoundedHttpProtocol
from kerasbert_serving.server.rest.rest_api import rest_application
from kerasbert_serving.server.runtimes.runtime import Runtime, find_runtime
from kerasbert_serving.server.serving_core import ServingCore
from kerasbert_serving.server.statuses import ServingError
from kerasbert_serving.server.unused_memory import release_unused_memory

log = logging.getLogger("kerasbert_serving")

# The full names of the services, the short names that TensorFlow Serving uses, and the empty name of the whole server.
HEALTH_SERVICES = ("", protos.PREDICTION_SERVICE, protos.MODEL_SERVICE, "PredictionService", "ModelService")


class RunningServer:
    """A server on the running event loop.

    Args:
        options: The options of the server.

    Attributes:
        options: The options, including those from settings files.
        rest_port: The port of the REST API once the server has started.
        grpc_port: The port of the gRPC API once the server has started.
        metrics: The metrics of the server.
        store: The models of the server.
    """

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
        self._runtime: Runtime | None = None
        self._core = ServingCore(self.store, self.metrics, options)
        self._health = health.aio.HealthServicer()
        self._grpc: Any = None  # a `grpc.aio.Server` once the ports are taken
        self._grpc_started = False
        self._rest: _UvicornServer | None = None
        self._rest_task: asyncio.Task | None = None
        self._config_task: asyncio.Task | None = None

    @property
    def ready_line(self) -> str:
        """One line with both addresses."""
        host = self.options.host
        return f"Serving REST at http://{address(host, self.rest_port)} and gRPC at {address(host, self.grpc_port)}"

    @property
    def runtime_line(self) -> str:
        """One line that tells what runs the models."""
        return f"Running models with {self._runtime.description if self._runtime else 'nothing yet'}"

    async def start(self) -> None:
        """Takes the ports, loads the models, and starts to answer.

        Raises:
            PortError: If the server cannot listen on a port. The models are not loaded then.
            ServingError: If a model has no version that can be served.
        ValueError: If the runtime that the options require is not available.
        """
        listener = listen_for_rest(self.options)
        try:
            self._grpc = self._new_grpc_server()
            self.grpc_port = listen_for_grpc(self.options, self._grpc)
            configs = self._model_configs()
            self._runtime = await asyncio.to_thread(find_runtime, self.options.tensorflow_runtime)
            log.info("%s", self.runtime_line)
            await asyncio.to_thread(self.store.start, configs)
            await self._start_grpc()
            await self._start_rest(listener)
        except BaseException:
            listener.close()
            await self._release_grpc_port()
            raise
        if self.options.file_system_poll_wait_seconds > 0:
            self.store.watch(self.options.file_system_poll_wait_seconds)
        if self.options.model_config_file and self.options.model_config_file_poll_wait_seconds > 0:
            self._config_task = asyncio.ensure_future(self._watch_config_file())

    def _model_configs(self) -> list[ModelConfig]:
        if self.options.model_config_file:
            return model_configs(read_model_config_file(self.options.model_config_file))
        return [ModelConfig(self.options.model_name, Path(self.options.model_dir or "").absolute())]

    def _new_grpc_server(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self.options.max_grpc_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        server.add_generic_rpc_handlers(GrpcApi(self._core).handlers())
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    async def _start_grpc(self) -> None:
        self._grpc_started = True
        await self._grpc.start()
        for service in HEALTH_SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def _release_grpc_port(self) -> None:
        if self._grpc and not self._grpc_started:
            await self._grpc.start()  # stopping a server only releases its port once it has started
            await self._grpc.stop(0)
            self._grpc = None

    async def _start_rest(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            rest_application(self._core),
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
        """Stops listening, lets the requests in progress finish, and unloads the models."""
        if self._config_task:
            self._config_task.cancel()
        await self._health.enter_graceful_shutdown()
        grace = self.options.shutdown_grace_seconds
        work = []
        if self._grpc:
            work.append(self._grpc.stop(grace))
        if self._rest and self._rest_task:
            self._rest.should_exit = True
            work.append(self._rest_task)
        await asyncio.gather(*work)
        await asyncio.to_thread(self.store.close)
        self._core.replies.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _load(self, name: str, number: int, path: Path) -> Servable:
        assert self._runtime is not None  # `start` finds it first
        start = time.perf_counter()
        try:
            servable = Servable(name, number, path, self._executor, self.options, self._runtime)
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
        release_unused_memory()
        return servable

    async def _watch_config_file(self) -> None:
        while True:
            await asyncio.sleep(self.options.model_config_file_poll_wait_seconds)
            try:
                configs = self._model_configs()
                await asyncio.to_thread(self.store.reload, configs)
            except ServingError as error:
                log.error("The model configuration file was not applied: %s", error)
            except Exception:  # the task must continue, or no further change would be applied
                log.exception("The model configuration file was not applied")


class _UvicornServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `serve` handles signals, and threads cannot
