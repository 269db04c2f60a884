"""The settings files of TensorFlow Serving, in protobuf text format: models, monitoring and batching.

Makes the checks that TensorFlow Serving makes before it accepts a configuration. Loading the models is left to
`model_store.py`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from kerasbert_serving import protos
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument

PLATFORM = "tensorflow"
# `ModelType` in `serving_config.proto`.
_MODEL_TYPE_UNSPECIFIED, _TENSORFLOW = 0, 1


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: The name in requests.
        base_path: The folder that contains the numbered version folders.
        latest: How many of the newest versions to serve, or None if another policy applies.
        specific: The versions to serve, or None if another policy applies. If both are None, all versions are served.
        labels: The version of each label.
    """

    name: str
    base_path: Path
    latest: int | None = 1
    specific: tuple[int, ...] | None = None
    labels: dict[str, int] = field(default_factory=dict)

    def chosen(self, versions: Iterable[int]) -> list[int]:
        """Returns the versions to serve among the existing ones, oldest first."""
        present = sorted(versions)
        if self.specific is not None:
            return [version for version in present if version in self.specific]
        return present if self.latest is None else present[-max(self.latest, 1) :]


def model_configs(config: Any) -> list[ModelConfig]:
    """Returns the models in a `ModelServerConfig`.

    Raises:
        ServingError: INVALID_ARGUMENT if a model is listed twice, or has a relative path or another platform.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument("Invalid ServerModelConfig")
    models: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if model.name in models:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        models[model.name] = _model_config(model)
    return list(models.values())


def _model_config(model: Any) -> ModelConfig:
    if not os.path.isabs(model.base_path):
        raise invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )
    _check_platform(model)
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    return ModelConfig(
        name=model.name,
        base_path=Path(model.base_path),
        latest=(policy.latest.num_versions or 1) if choice in (None, "latest") else None,
        specific=tuple(policy.specific.versions) if choice == "specific" else None,
        labels=dict(model.version_labels),
    )


def _check_platform(model: Any) -> None:
    platform = model.model_platform
    if model.model_type != _MODEL_TYPE_UNSPECIFIED:
        if platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.model_type != _TENSORFLOW:
            raise invalid_argument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        platform = PLATFORM
    if not platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    if platform != PLATFORM:
        raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")


def read_model_config_file(path: str | os.PathLike) -> Any:
    """Reads a `ModelServerConfig` from a file in protobuf text format.

    Raises:
        ServingError: If the file cannot be read or parsed.
    """
    return _read(path, protos.ModelServerConfig())


def with_config_files(options: ServerOptions) -> ServerOptions:
    """Returns the options with the values from the monitoring and the batching file.

    Raises:
        ServingError: If a file cannot be read or parsed, or requests something that this server does not support.
    """
    if options.monitoring_config_file:
        monitoring = _read(options.monitoring_config_file, protos.MonitoringConfig()).prometheus_config
        path = monitoring.path or ServerOptions.prometheus_path
        options = replace(options, prometheus_path=path if monitoring.enable else None)
    if options.batching_parameters_file:
        batching = _read(options.batching_parameters_file, protos.BatchingParameters())
        if batching.pad_variable_length_inputs:
            raise ServingError(
                Code.UNIMPLEMENTED,
                "`pad_variable_length_inputs` must be false, because rows of different lengths are run separately. "
                f"Received: true, in {options.batching_parameters_file}.",
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
