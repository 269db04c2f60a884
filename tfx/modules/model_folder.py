"""Finds the checkpoint in what a pipeline starts from, and keeps a run's folder where a new try finds it."""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx.utils import path_utils

from kerasbert.checkpoints.model_files import is_checkpoint
from kerasbert.errors import BadInputError
from kerasbert.export.version_folders import existing_versions
from kerasbert.run_folder import FREE_SETTINGS
from kerasbert_tfx.records.fingerprints import fingerprint
from kerasbert_tfx.records.remote_folders import copied_to_local

# Where a run, an artifact of a pipeline or a pushed version keeps its model folder.
_INSIDE = ("", "model", "Format-Serving", "Format-Serving/model")


@contextlib.contextmanager
def find_model(uri: str | None) -> Iterator[str | None]:
    """Yields the local path of the checkpoint at `uri`; None for None.

    Args:
        uri: a model folder or checkpoint of any kind that `kerasbert.checkpoints.load` knows, the folder of a run, of a
            pipeline's artifact, or of pushed versions, of which the newest is taken. TFX hands it over with the name of
            its own sub-folder behind it.

    Raises:
        BadInputError: nothing lies there.
    """
    if uri is None:
        yield None
        return
    uri = uri.removesuffix(path_utils.serving_model_dir("")).rstrip("/")
    with copied_to_local(uri) as path:
        yield str(_checkpoint(path, uri))


def _checkpoint(path: Path, uri: str) -> Path:
    """The folder or file in or at `path` that is a checkpoint. Whether it is whole is for the loader to say."""
    candidates = [path, *(path / str(version) for version in reversed(existing_versions(path)))]
    for candidate in candidates:
        for inside in _INSIDE:
            if is_checkpoint(candidate / inside):
                return candidate / inside
    if not path.exists() and not path.with_name(f"{path.name}.index").exists():
        raise BadInputError(
            f"The model to start from must be there. Received: '{uri}', which does not exist. Check `start_from`."
        )
    return path


@contextlib.contextmanager
def local_folder(artifact: str, config: Mapping[str, Any], inputs: Sequence[Any], start: str | None) -> Iterator[Path]:
    """Yields a folder for a run that is still under way, on this machine: the same one for the same run.

    Args:
        artifact: where the run will be kept: `<component>/<output>/<number>`. The folder lies beside it under
            `<component>/unfinished`, so that a run that was killed is found again; for an artifact in a bucket it is a
            temporary one.
        config: the Trainer's `custom_config`. Those of its `settings` that change no weight do not matter.
        inputs: what else the run depends on, as JSON can hold it.
        start: the checkpoint that training starts from, whose content matters.
    """
    settings = {name: value for name, value in config["settings"].items() if name not in FREE_SETTINGS}
    parts = [{**config, "settings": settings}, *inputs, fingerprint(start) if start else None]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    if "://" in artifact:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary) / name
        return
    yield Path(artifact).parent.parent / "unfinished" / name
