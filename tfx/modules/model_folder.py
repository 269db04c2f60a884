"""Finds the checkpoint in the address that a pipeline starts from."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tfx.utils import path_utils

from kerasbert.checkpoints.model_files import is_checkpoint
from kerasbert.errors import BadInputError
from kerasbert.export.version_folders import existing_versions
from kerasbert_tfx.records.remote_folders import copied_to_local, is_remote

# Where the model folder is in a run, in an artifact of a pipeline, or in a pushed version.
_INSIDE = ("", "model", "Format-Serving", "Format-Serving/model")


@contextlib.contextmanager
def find_model(uri: str | None) -> Iterator[str | None]:
    """Yields the local path of the checkpoint at `uri`; None for None.

    Args:
        uri: A model folder or a checkpoint in any layout that `kerasbert.checkpoints.load` reads; or the folder of a
            run, of a pipeline's artifact, or of pushed versions, of which the newest is used. TFX may have appended the
            name of its own sub-folder.

    Raises:
        BadInputError: If `uri` does not exist.
    """
    if uri is None:
        yield None
        return
    uri = uri.removesuffix(path_utils.serving_model_dir("")).rstrip("/")
    with copied_to_local(uri) as path:
        yield str(_checkpoint(path, uri))


def _checkpoint(path: Path, uri: str) -> Path:
    """Returns the folder or file in or at `path` that is a checkpoint. The loader checks that it is complete."""
    candidates = [path, *(path / str(version) for version in reversed(existing_versions(path)))]
    for candidate in candidates:
        for inside in _INSIDE:
            if is_checkpoint(candidate / inside):
                return candidate / inside
    if not path.exists() and not path.with_name(f"{path.name}.index").exists():
        raise BadInputError(
            f"The model to start from must exist. Received: '{uri}', which does not. Check `start_from`."
        )
    return path


@contextlib.contextmanager
def local_file(setting: str, address: str) -> Iterator[str]:
    """Yields the local path of a file that a setting names.

    Args:
        setting: The setting's name, for messages.
        address: A file on this machine or in a bucket.

    Raises:
        BadInputError: If the file does not exist.
    """
    with copied_to_local(address) as path:
        if not path.is_file():
            raise BadInputError(
                f"`{setting}` must be a file that exists. Received: {setting}='{address}'. Check the address."
            )
        yield str(path)


@contextlib.contextmanager
def local_config(model: str) -> Iterator[str]:
    """Yields what the setting `model` names, with a config file in a bucket copied to this machine.

    Args:
        model: A named size or the address of a `config.json`.

    Raises:
        BadInputError: If the file in the bucket does not exist.
    """
    if not is_remote(model):
        yield model
        return
    with local_file("model", model) as path:
        yield path
