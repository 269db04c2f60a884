"""The model that a candidate must not be worse than: the newest one that was pushed.

It is looked up anew for each new candidate. For the same candidate it stays the same, so that an unchanged run is taken
from the cache and no model is compared with itself. TFX's Resolver of the latest blessed model would do neither, and
Kubeflow Pipelines has none.
"""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Model
from tfx.utils import io_utils, path_utils

SAVED_MODEL_FILE = "saved_model.pb"


@component
def BaselineModel(  # noqa: N802 (TFX components are named like classes)
    model: InputArtifact[Model], baseline: OutputArtifact[Model], push_folder: Parameter[str]
) -> None:
    """Copies the newest pushed model, or leaves the artifact empty where there is none yet.

    Args:
        model: the candidate.
        baseline: the copy, which stays as it is whatever is pushed later.
        push_folder: holds one numbered folder for each pushed version.
    """
    del model
    fileio.makedirs(baseline.uri)
    newest = newest_version(push_folder)
    if newest is not None:
        io_utils.copy_dir(newest, path_utils.serving_model_dir(baseline.uri))


def newest_version(push_folder: str) -> str | None:
    """The folder of the largest version number that holds a SavedModel; None if there is none."""
    names = fileio.listdir(push_folder) if fileio.exists(push_folder) else []
    versions = sorted(
        int(name.rstrip("/"))
        for name in names
        if name.rstrip("/").isdigit() and fileio.exists(f"{push_folder}/{name.rstrip('/')}/{SAVED_MODEL_FILE}")
    )
    return f"{push_folder}/{versions[-1]}" if versions else None
