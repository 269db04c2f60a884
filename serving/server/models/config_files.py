"""The settings files of TensorFlow Serving, in protobuf text format: models, monitoring, batching.

`tensorflow-serving-api` ships the message of the first only; the others are declared here, field by field as TensorFlow
Serving has them, so that a file written for it is read by the same rules.
"""

import os
from dataclasses import replace
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from kerasbert_serving.server.declared_messages import declare
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument

_INT64, _BOOL, _STRING = "google.protobuf.Int64Value", "google.protobuf.BoolValue", "google.protobuf.StringValue"
_MESSAGES = declare(
    "kerasbert.serving.config",
    {
        "PrometheusConfig": [("enable", 1, "bool"), ("path", 2, "string")],
        "MonitoringConfig": [("prometheus_config", 1, "PrometheusConfig")],
        "BatchingParameters": [
            ("max_batch_size", 1, _INT64),
            ("batch_timeout_micros", 2, _INT64),
            ("max_enqueued_batches", 3, _INT64),
            ("num_batch_threads", 4, _INT64),
            ("thread_pool_name", 5, _STRING),
            ("allowed_batch_sizes", 6, "repeated int64"),
            ("pad_variable_length_inputs", 7, "bool"),
            ("enable_large_batch_splitting", 8, _BOOL),
            ("max_execution_batch_size", 9, _INT64),
        ],
    },
)


def read_model_config_file(path: str | os.PathLike) -> model_server_config_pb2.ModelServerConfig:
    """The `ModelServerConfig` of a file.

    Raises:
        ServingError: If the file cannot be read or is not such a text.
    """
    return _read(path, model_server_config_pb2.ModelServerConfig())


def with_config_files(options: ServerOptions) -> ServerOptions:
    """The options, with what the monitoring and the batching file say in the places of the single settings.

    Raises:
        ServingError: If a file cannot be read, is not such a text or asks for what this server does not do.
    """
    if options.monitoring_config_file:
        monitoring = _read(options.monitoring_config_file, _MESSAGES["MonitoringConfig"]()).prometheus_config
        path = monitoring.path or ServerOptions.prometheus_path
        options = replace(options, prometheus_path=path if monitoring.enable else None)
    if options.batching_parameters_file:
        batching = _read(options.batching_parameters_file, _MESSAGES["BatchingParameters"]())
        if batching.pad_variable_length_inputs:
            raise ServingError(
                Code.UNIMPLEMENTED,
                "`pad_variable_length_inputs` must be false: rows of other lengths are batched apart. Received: true, "
                f"in {options.batching_parameters_file}.",
            )
        rows = batching.max_batch_size.value or options.max_batch_size
        waiting = batching.max_enqueued_batches.value * rows or options.max_waiting_requests
        options = replace(options, max_batch_size=rows, max_waiting_requests=waiting)
    return options


def _read(path: str | os.PathLike, message: Message) -> Message:
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"{path}; {error.strerror or error}") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}': {error}") from error
