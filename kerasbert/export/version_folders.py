"""Chooses the number of the next version of a served model, so that no two writers take the same one.

TF Serving serves the version with the largest number. A new version that is not larger than all existing ones would
never be served, or would change while a server uses it, so it is refused.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from kerasbert.errors import BadInputError

# TF Serving reads the folder's name as a signed 64-bit integer.
LARGEST_VERSION = 2**63 - 1


def existing_versions(folder: str | os.PathLike[str]) -> list[int]:
    """Return the version numbers in a model's folder, ascending. A missing folder has no versions.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("2", "10", "notes"):
        ...     (folder / name).mkdir()
        >>> existing_versions(folder)
        [2, 10]
    """
    model_folder = Path(folder)
    if not model_folder.is_dir():
        return []
    names = [entry.name for entry in model_folder.iterdir() if entry.is_dir()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


@contextlib.contextmanager
def next_version_folder(folder: str | os.PathLike[str], version: int | None = None) -> Iterator[Path]:
    """Yield the path of the version to write, and lock the model's folder until it is written.

    Args:
        folder: the model's folder. Created if missing.
        version: the number to use, larger than all existing ones. By default the largest plus one, or 1.

    Raises:
        BadInputError: `version` is not an integer larger than all existing versions, or `folder` is not a folder.
        OSError: `folder` cannot be created or read.
    """
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise BadInputError(f"`version` must be an integer. Received: version={version!r}. For example, version=1.")
    model_folder = Path(folder)
    if model_folder.exists() and not model_folder.is_dir():
        raise BadInputError(
            f"`folder` must be a folder. Received: folder={str(model_folder)!r}, which is a file. Choose another path."
        )
    model_folder.mkdir(parents=True, exist_ok=True)
    with _held(model_folder):
        largest = max(existing_versions(model_folder), default=0)
        chosen = largest + 1 if version is None else version
        if not largest < chosen <= LARGEST_VERSION:
            raise BadInputError(
                "`version` must be larger than all existing versions, or no server would load it, and at most "
                f"{LARGEST_VERSION}. Received: version={chosen}, while the largest version in {str(model_folder)!r} is "
                f"{largest or 'none'}. Leave out `version` to use the next number."
            )
        yield model_folder / str(chosen)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make other writers of the same folder wait. The lock is on the folder itself and leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
