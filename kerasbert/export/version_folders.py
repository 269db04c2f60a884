"""The numbered folders of one served model: which number comes next, and that no two writers take the same one.

TF Serving serves the largest number that it finds under the model's folder. So a version that is not larger than all
that are there would never be served, or would change under a running server: it is refused.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from kerasbert.errors import BadInputError

# TF Serving parses the folder's name as a signed 64-bit integer.
LARGEST_VERSION = 2**63 - 1


def existing_versions(folder: str | os.PathLike[str]) -> list[int]:
    """The version numbers under a model's folder, ascending. A missing folder has none.

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
    """Yields the path of the version to write, and holds the model's folder until it is written.

    Args:
        folder: the model's folder, made when it is missing.
        version: the number to use, larger than every one that is there. By default the largest plus one, or 1.

    Raises:
        BadInputError: `version` is not larger than the versions that are there, or `folder` is not a folder.
        OSError: `folder` cannot be made or read.
    """
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise BadInputError(f"`version` must be a whole number. Received: version={version!r}.")
    model_folder = Path(folder)
    if model_folder.exists() and not model_folder.is_dir():
        raise BadInputError(
            f"The model's folder must be a folder. Received: folder={str(model_folder)!r}, which is a file. "
            "Name another folder."
        )
    model_folder.mkdir(parents=True, exist_ok=True)
    with _held(model_folder):
        largest = max(existing_versions(model_folder), default=0)
        chosen = largest + 1 if version is None else version
        if not largest < chosen <= LARGEST_VERSION:
            raise BadInputError(
                "A new version's number must be larger than all that are there, or a server would not take it up, "
                f"and at most {LARGEST_VERSION}. Received: version={chosen}, while {str(model_folder)!r} holds "
                f"{largest or 'none'}. Leave `version` out to use the next free number."
            )
        yield model_folder / str(chosen)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keeps other writers of the same folder waiting. The lock is on the folder itself and leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
