"""The options of a server, with TensorFlow Serving's names where it has them."""

from dataclasses import dataclass
from pathlib import Path

TENSORFLOW_RUNTIMES = ("auto", "c-library", "python")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options of a server. Exactly one of `model_dir` and `model_config_file` is required.

    Attributes:
        model_dir: Folder whose numbered subfolders are the versions of one model.
        model_name: The name of that model in requests.
        model_config_file: A `ModelServerConfig` in protobuf text format, instead of the two options above.
        model_config_file_poll_wait_seconds: Seconds between reads of that file. 0 reads it once.
        host: Address to listen on.
        rest_port: Port of the REST API. 0 takes a free port.
        grpc_port: Port of the gRPC API. 0 takes a free port.
        file_system_poll_wait_seconds: Seconds between checks of the folders for new versions. 0 checks them once.
        max_num_load_retries: How often loading is tried again before a version counts as failed.
        load_retry_interval_seconds: The pause before loading is tried again.
        enable_model_warmup: Whether to replay `assets.extra/tf_serving_warmup_requests` before a version is served.
        num_request_iterations_for_warmup: How often to run each of its records.
        enable_batching: Whether waiting requests run as one batch if their rows are independent.
        max_batch_size: The maximum number of rows of requests that run as one batch.
        max_batch_bytes: The maximum size of requests that run as one batch, in rows times the bytes of the longest row.
            For texts, this bounds rows times tokens, because texts in a batch are padded to the longest one. For token
            ids and other numbers, a row counts 4 bytes per value of its largest input. A single request may exceed it;
            it then runs alone.
        max_waiting_requests: The maximum number of requests that wait per signature. Further ones are refused with
            UNAVAILABLE (503).
        max_waiting_bytes: The maximum number of bytes of all requests that are read or wait for a reply. Further ones
            are refused with UNAVAILABLE (503). A request that is alone is never refused.
        max_reply_bytes: The maximum size of a reply. Larger ones are refused with INVALID_ARGUMENT (400).
        rest_api_timeout_in_ms: The time limit of a REST request, after which the reply is DEADLINE_EXCEEDED (504).
        max_body_bytes: The maximum size of a REST body, compressed and decompressed. Larger ones are refused with
            status 413.
        max_grpc_message_bytes: The maximum size of a gRPC request. Larger ones are refused with RESOURCE_EXHAUSTED.
        body_idle_timeout_seconds: How long a REST body may pause before it is refused with status 408.
        shutdown_grace_seconds: Seconds that requests in progress may take to finish after a stop signal.
        rest_api_enable_cors_support: Whether replies have CORS headers.
        enable_signature_method_name_check: Whether classify and regress require the signature's method name.
        allow_version_labels_for_unavailable_models: Whether a new label may name a version that is not served yet.
        tensorflow_runtime: What runs the models. "c-library" loads TensorFlow's C library without importing its Python
            package, which starts faster and takes less memory. "python" imports the package. "auto" is the C library if
            it can be loaded.
        tensorflow_session_parallelism: The number of threads of a session. 0 lets TensorFlow decide.
        prometheus_path: Path of the metrics page. None disables it.
        monitoring_config_file: A `MonitoringConfig` in protobuf text format, instead of `prometheus_path`.
        batching_parameters_file: A `BatchingParameters` in protobuf text format, instead of `max_batch_size` and
            `max_waiting_requests`. Its timeout has no effect, because batching has no timer.
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
    max_batch_bytes: int = 128 * 2**10
    max_waiting_requests: int = 10_000
    max_waiting_bytes: int = 2**30
    max_reply_bytes: int = 512 * 2**20
    rest_api_timeout_in_ms: int = 30_000
    max_body_bytes: int = 64 * 2**20
    max_grpc_message_bytes: int = 2**31 - 1
    body_idle_timeout_seconds: float = 30
    shutdown_grace_seconds: float = 30
    rest_api_enable_cors_support: bool = False
    enable_signature_method_name_check: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    tensorflow_runtime: str = "auto"
    tensorflow_session_parallelism: int = 0
    prometheus_path: str | None = "/monitoring/prometheus/metrics"
    monitoring_config_file: str | Path | None = None
    batching_parameters_file: str | Path | None = None

    def __post_init__(self) -> None:
        if (self.model_dir is None) == (self.model_config_file is None):
            raise ValueError(
                "Exactly one of `model_dir` and `model_config_file` must be set. Received: "
                f"model_dir={self.model_dir}, model_config_file={self.model_config_file}."
            )
        for name in ("rest_port", "grpc_port"):
            port = getattr(self, name)
            if not 0 <= port <= 65535:
                raise ValueError(f"`{name}` must be between 0 and 65535. Received: {name}={port}. 0 takes a free port.")
        if self.tensorflow_runtime not in TENSORFLOW_RUNTIMES:
            raise ValueError(
                f"`tensorflow_runtime` must be one of {', '.join(TENSORFLOW_RUNTIMES)}. Received: "
                f"{self.tensorflow_runtime}."
            )
        if self.rest_port == self.grpc_port != 0:
            raise ValueError(f"`rest_port` and `grpc_port` must differ. Received: {self.rest_port} for both.")
