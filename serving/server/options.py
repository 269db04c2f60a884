"""What a server can be told: one frozen place for every setting, in TensorFlow Serving's words where it has them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Settings of a server. Either `model_dir` or `model_config_file` says what to serve.

    Attributes:
        model_dir: Folder whose numbered subfolders are the versions of one model.
        model_name: The name under which that model is served.
        model_config_file: A `ModelServerConfig` in protobuf text format, instead of the two above.
        model_config_file_poll_wait_seconds: How often that file is read again; 0 reads it once.
        host: Address to listen on.
        rest_port: Port of the REST API; 0 takes a free one.
        grpc_port: Port of the gRPC API; 0 takes a free one.
        file_system_poll_wait_seconds: How often the folders are looked at for new versions; 0 looks once.
        max_num_load_retries: How often a failed load is tried again before the version counts as failed.
        load_retry_interval_seconds: How long to wait before such a try.
        enable_model_warmup: Whether `assets.extra/tf_serving_warmup_requests` is replayed before a version is served.
        num_request_iterations_for_warmup: How often each of its records is run.
        enable_batching: Whether requests that wait share a run where their rows are independent.
        max_batch_size: No shared run has more rows than this.
        max_waiting_requests: Requests of one signature that may wait; one more is refused with UNAVAILABLE (503).
        rest_api_timeout_in_ms: A REST request that takes longer is answered with DEADLINE_EXCEEDED (504).
        max_body_bytes: A longer REST body, or one that unpacks to more, is refused with status 413.
        max_grpc_message_bytes: A longer gRPC message is refused with RESOURCE_EXHAUSTED.
        body_idle_timeout_seconds: A REST body that sends nothing for so long is given up with status 408.
        shutdown_grace_seconds: How long requests under way may go on when the server is told to stop.
        rest_api_enable_cors_support: Whether replies carry CORS headers.
        enable_signature_method_name_check: Whether classify and regress insist on the signature's method name.
        allow_version_labels_for_unavailable_models: Whether a new label may name a version that is not served yet.
        tensorflow_session_parallelism: Threads of a session; 0 leaves it to TensorFlow.
        prometheus_path: Path of the metrics page; None turns it off.
        monitoring_config_file: A `MonitoringConfig` in protobuf text format, instead of `prometheus_path`.
        batching_parameters_file: A `BatchingParameters` in protobuf text format, instead of `max_batch_size` and
            `max_waiting_requests`. Its timeout has no meaning here: there is no timer.
    """

    model_dir: str | Path | None = None
    model_name: str = "model"
    model_config_file: str | Path | None = None
    model_config_file_poll_wait_seconds: float = 0
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    file_system_poll_wait_seconds: float = 1
    max_num_load_retries: int = 0
    load_retry_interval_seconds: float = 1
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 1
    enable_batching: bool = True
    max_batch_size: int = 1024
    max_waiting_requests: int = 10_000
    rest_api_timeout_in_ms: int = 30_000
    max_body_bytes: int = 64 * 2**20
    max_grpc_message_bytes: int = 2**31 - 1
    body_idle_timeout_seconds: float = 30
    shutdown_grace_seconds: float = 30
    rest_api_enable_cors_support: bool = False
    enable_signature_method_name_check: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    tensorflow_session_parallelism: int = 0
    prometheus_path: str | None = "/monitoring/prometheus/metrics"
    monitoring_config_file: str | Path | None = None
    batching_parameters_file: str | Path | None = None

    def __post_init__(self):
        if (self.model_dir is None) == (self.model_config_file is None):
            raise ValueError(
                "Exactly one of `model_dir` and `model_config_file` must be given. Received: "
                f"model_dir={self.model_dir}, model_config_file={self.model_config_file}."
            )
        for name in ("rest_port", "grpc_port"):
            port = getattr(self, name)
            if not 0 <= port <= 65535:
                raise ValueError(f"`{name}` must be between 0 and 65535; 0 takes a free port. Received: {name}={port}.")
        if self.rest_port == self.grpc_port != 0:
            raise ValueError(f"`rest_port` and `grpc_port` must differ. Received: {self.rest_port} for both.")
