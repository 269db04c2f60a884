"""Pushes a blessed model as a new version, so a server that watches the folder never sees an incomplete version.

TFX's own Pusher copies file by file into the final folder, and pushes an unchanged model again after a new evaluation.
This component writes a version to a temporary folder and renames it, numbers it above all existing versions, and does
nothing if the newest version has the same content. A bucket cannot rename folders: there `saved_model.pb`, without
which no server loads a version, is copied last.

With `custom_config={"vertex": ...}`, a pushed version is then uploaded to Vertex AI: see tfx/vertex/pushing.py. If that
fails, the version stays in the folder, and the next attempt continues from there.
"""

import dataclasses
import json
import time
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.components.pusher.component import Pusher
from tfx.components.pusher.executor import Executor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, proto_utils

from kerasbert.data import TableFormat
from kerasbert.errors import BadInputError
from kerasbert.export.version_folders import next_version_folder
from kerasbert.files import write_folder_aside
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.fingerprints import fingerprint
from kerasbert_tfx.records.pushed_versions import pushed_versions, version_folder
from kerasbert_tfx.records.remote_folders import is_remote
from kerasbert_tfx.vertex.batch_prediction import BatchTable
from kerasbert_tfx.vertex.client import Vertex
from kerasbert_tfx.vertex.pushing import VertexPush, push_to_vertex
from kerasbert_tfx.vertex.vertex_settings import VertexSettings

_COPIED_LAST = "saved_model.pb"


class ModelPusherExecutor(Executor):
    """Pushes whole versions."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if it is blessed.

        Raises:
            BadInputError: If the folder cannot be written: the versions pushed before are unchanged. Or if Vertex AI
                refuses or fails: the new version is in the folder.
        """
        destination = proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination()
        )
        folder = destination.filesystem.base_directory
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        model = self.GetModelPath(input_dict)
        try:
            version = push(model, folder)
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
            raise BadInputError(
                f"`push_folder` must be a writable folder. Received: '{folder}' ({reason}). "
                "Free space, change its permissions, or choose another `push_folder`."
            ) from error
        io_utils.copy_dir(model, pushed.uri)
        config = json.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null")
        if config:
            outcome = VertexTarget(**config["vertex"]).push(version)
            write_metrics(pushed.uri, dict(outcome.lines()))
            pushed.set_string_custom_property("vertex_model", outcome.version.name)
        self._MarkPushed(pushed, pushed_destination=version, pushed_version=version.rpartition("/")[2])


@dataclasses.dataclass(frozen=True)
class VertexTarget:
    """Where and how a pushed version goes to Vertex AI, as JSON values.

    Attributes:
        project: Google Cloud project.
        region: Google Cloud region.
        model_id: The model's id in Model Registry.
        settings: The fields of `VertexSettings`.
        table: The fields of `BatchTable`, with `table_format` as the fields of `TableFormat`.
    """

    project: str
    region: str
    model_id: str
    settings: dict[str, Any]
    table: dict[str, Any]

    def push(self, version: str) -> VertexPush:
        """Does what the settings say with a pushed version."""
        table = BatchTable(**{**self.table, "table_format": TableFormat(**self.table["table_format"])})
        place = Vertex(self.project, self.region)
        return push_to_vertex(version, self.model_id, VertexSettings(**self.settings), table, place)


class ModelPusher(Pusher):
    """TFX's Pusher with whole versions. See `tfx.components.Pusher` for the arguments."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ModelPusherExecutor)


def push(model: str, folder: str) -> str:
    """Copies a model's folder to a new version, unless it is the newest version already.

    Args:
        model: The folder to copy.
        folder: The folder with one numbered folder per version. It is created if it does not exist.

    Returns:
        The version's folder.

    Raises:
        OSError: If the local `folder` cannot be written.
        tf.errors.OpError: If the remote `folder` cannot be written.
    """
    versions = pushed_versions(folder)
    if versions:
        newest = version_folder(folder, versions[-1])
        if fingerprint(newest) == fingerprint(model):
            return newest
    number = max(int(time.time()), max(versions, default=0) + 1)
    if is_remote(folder):
        final = version_folder(folder, number)
        _copy_to_bucket(model, final)
        return final
    with next_version_folder(folder, number) as path, write_folder_aside(path) as aside:
        io_utils.copy_dir(model, str(aside))
    return str(path)


def _copy_to_bucket(model: str, final: str) -> None:
    """Copies all files of a model, and removes them again if one cannot be written."""
    folders = [(folder.rstrip("/"), names) for folder, _, names in fileio.walk(model)]
    files = [f"{folder}/{name}" for folder, names in folders for name in names if name]
    try:
        for file in sorted(files, key=lambda file: (file.endswith(f"/{_COPIED_LAST}"), file)):
            fileio.copy(file, f"{final}/{file.removeprefix(model.rstrip('/') + '/')}")
    except tf.errors.OpError:
        if fileio.isdir(final):
            fileio.rmtree(final)
        raise
