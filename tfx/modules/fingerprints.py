"""A hash of what lies at a path, by which a changed file under an old name is noticed."""

import glob
import hashlib
import os
from pathlib import Path

_CHUNK = 1 << 20


def fingerprint(path: str | os.PathLike[str]) -> str:
    """A hash of a file's content, or of the names and contents of all files in a folder.

    A path that is neither stands for the files beside it whose names begin so, such as a TensorFlow checkpoint's
    `model.ckpt`. What is not there has a hash too.

    Example:
        >>> import tempfile
        >>> empty = fingerprint(tempfile.mkdtemp())
        >>> empty == fingerprint("/nowhere/at/all")
        True
    """
    root = Path(path)
    digest = hashlib.sha256()
    if root.is_file():
        files = [root]
    elif root.is_dir():
        files = sorted(file for file in root.rglob("*") if file.is_file())
    else:
        root = root.parent
        files = sorted(file for file in root.glob(f"{glob.escape(Path(path).name)}.*") if file.is_file())
    for file in files:
        content = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                content.update(chunk)
        digest.update(f"{file.relative_to(root).as_posix()} {content.hexdigest()}\n".encode())
    return digest.hexdigest()
