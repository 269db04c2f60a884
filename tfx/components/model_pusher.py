"""Pushes a blessed model as a new version, so that a server that watches the folder never sees half of it.

TFX's own Pusher copies file by file into the final folder, and pushes the same model again when only its blessing is
new. Here a version is copied aside and renamed, its number is larger than all that are there, and a model that is the
newest version already stays as it is. Folders in buckets are left to TFX's own way.
"""

import time
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher.component import Pusher
from tfx.components.pusher.executor import Executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, proto_utils

from kerasbert.errors import BadInputError
from kerasbert.export.version_folders import existing_versions, next_version_folder
from kerasbert.files import write_folder_aside
from kerasbert_tfx.records.fingerprints import fingerprint


class ModelPusherExecutor(Executor):
    """TFX's Pusher with whole versions."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if it is blessed.

        Raises:
            BadInputError: the folder cannot be written. What was pushed before is as it was.
        """
        destination = proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination()
        )
        folder = destination.filesystem.base_directory
        if "://" in folder:
            super().Do(input_dict, output_dict, exec_properties)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        model = self.GetModelPath(input_dict)
        try:
            version = push(Path(model), Path(folder))
        except OSError as error:
            raise BadInputError(
                f"The model must be pushed to a folder that can be written. Received: '{folder}' "
                f"({error.strerror or error}). Free space or change its rights, or name another `push_folder`."
            ) from error
        io_utils.copy_dir(model, pushed.uri)
        self._MarkPushed(pushed, pushed_destination=str(version), pushed_version=version.name)


class ModelPusher(Pusher):
    """TFX's Pusher with whole versions. See `tfx.components.Pusher` for the arguments."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ModelPusherExecutor)


def push(model: Path, folder: Path) -> Path:
    """Copies a model's folder to a new version, unless it is the newest version already.

    Args:
        model: the folder to copy.
        folder: holds one numbered folder for each version; made when it is missing.

    Returns:
        The version's folder.
    """
    wanted = fingerprint(model)
    versions = existing_versions(folder)
    if versions and fingerprint(folder / str(versions[-1])) == wanted:
        return folder / str(versions[-1])
    number = max(int(time.time()), max(versions, default=0) + 1)
    with next_version_folder(folder, number) as final, write_folder_aside(final) as aside:
        io_utils.copy_dir(str(model), str(aside))
    return final
