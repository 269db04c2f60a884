"""The models that a server is told to serve, from a `ModelServerConfig` or from two arguments.

Checks what TensorFlow Serving checks before it accepts a configuration. Carrying it out is left to `model_store.py`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2

from kerasbert_serving.server.statuses import invalid_argument

PLATFORM = "tensorflow"


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: The name in requests.
        base_path: The folder with the numbered version folders.
        latest: Serve so many of the newest versions; None where another policy holds.
        specific: Serve these versions; None where another policy holds. With neither, all are served.
        labels: The version of each label.
    """

    name: str
    base_path: Path
    latest: int | None = 1
    specific: tuple[int, ...] | None = None
    labels: dict[str, int] = field(default_factory=dict)

    def chosen(self, versions: Iterable[int]) -> list[int]:
        """The versions to serve among those that are there, oldest first."""
        present = sorted(versions)
        if self.specific is not None:
            return [version for version in present if version in self.specific]
        return present if self.latest is None else present[-max(self.latest, 1) :]


def model_configs(config: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """The models of a `ModelServerConfig`.

    Raises:
        ServingError: INVALID_ARGUMENT if a model is named twice, has a relative path or another platform.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument("Invalid ServerModelConfig")
    models: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if model.name in models:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        models[model.name] = _model_config(model)
    return list(models.values())


def _model_config(model: model_server_config_pb2.ModelConfig) -> ModelConfig:
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


def _check_platform(model: model_server_config_pb2.ModelConfig) -> None:
    platform = model.model_platform
    if model.model_type != model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.model_type != model_server_config_pb2.TENSORFLOW:
            raise invalid_argument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        platform = PLATFORM
    if not platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    if platform != PLATFORM:
        raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")
