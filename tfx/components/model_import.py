"""Copies a model to start from into the pipeline's artifacts, where a backend's importer cannot do it."""

from typing import Any

import tensorflow as tf
from tfx import types
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from kerasbert.errors import BadInputError
from kerasbert_tfx.records.fingerprints import files_of


class ModelImportExecutor(BaseExecutor):
    """Copies the files at the address `artifact_uri` to the output that `output_key` names."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies the model.

        Raises:
            BadInputError: There is no file at the address.
        """
        address = exec_properties["artifact_uri"]
        target = artifact_utils.get_single_uri(output_dict[exec_properties["output_key"]])
        files = files_of(address)
        if not files:
            raise BadInputError(
                f"`start_from` must be a model that exists. Received: start_from='{address}', where there is no file. "
                "Check the address, and that the cluster may read it."
            )
        for name, file in files:
            copy = f"{target}/{address.rpartition('/')[2] if name == '.' else name}"
            fileio.makedirs(copy.rpartition("/")[0])
            tf.io.gfile.copy(str(file), copy, overwrite=True)
