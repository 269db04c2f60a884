"""Finds the files of an address: a file, a folder or a glob pattern, on this machine or in a bucket.

TFX expects a folder and a pattern, and interprets brackets in either as part of a pattern. So the part of an address
that exists becomes the folder, and is never interpreted as a pattern here.
"""

import glob
import os

import tensorflow as tf

from kerasbert.data import find_text_files
from kerasbert.errors import BadInputError
from kerasbert_tfx.records.remote_folders import is_remote

# The pattern that means everything in a folder, for TFX too. The user's own `*`, which does not search sub-folders, is
# spelled differently.
_WHOLE_FOLDER = "*"
_ONE_LEVEL = "?*"


def find_files(address: str) -> list[str]:
    """Returns the files of an address: a file, a folder (all files below it that are not hidden) or a pattern.

    Raises:
        BadInputError: If there is none.
    """
    if not is_remote(address):
        return [str(path) for path in find_text_files(address)]
    if tf.io.gfile.exists(address) and not tf.io.gfile.isdir(address):
        found = [address]
    elif tf.io.gfile.isdir(address):
        below = [os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(address) for name in names if name]
        found = [path for path in below if "/." not in path[len(address.rstrip("/")) :]]
    else:
        found = [path for path in tf.io.gfile.glob(address) if not tf.io.gfile.isdir(path)]
    if not found:
        raise BadInputError(
            f"There must be at least one file. Received: '{address}', where there is none. Check the address."
        )
    return sorted(found)


def folder_and_pattern(address: str) -> tuple[str, str]:
    """Returns the folder and the pattern that TFX expects for an address. `matching_files` returns their files.

    An address that does not exist on this machine, e.g. in a bucket, is treated as a file if its name has an extension.

    Example:
        >>> folder_and_pattern("gs://bucket/wiki/*/part-*.txt")
        ('gs://bucket/wiki', '*/part-*.txt')
        >>> folder_and_pattern("gs://bucket/wiki")
        ('gs://bucket/wiki', '*')
    """
    if not is_remote(address) and os.path.exists(address):
        is_file = os.path.isfile(address)
    elif glob.has_magic(address):
        parts = address.split("/")
        first = _first_pattern(parts, is_remote(address))
        folder, pattern = "/".join(parts[:first]) or ("/" if first else "."), "/".join(parts[first:])
        return folder, _ONE_LEVEL if pattern == _WHOLE_FOLDER else pattern
    else:
        path = address.partition("://")[2].partition("/")[2] if is_remote(address) else address
        is_file = os.path.splitext(path)[1] != ""
    if is_file:
        folder, name = os.path.split(address)
        return folder or ".", name
    return address, _WHOLE_FOLDER


def _first_pattern(parts: list[str], remote: bool) -> int:
    """Returns the index of the first part of a path that is a pattern, and not the name of a folder that exists."""
    for index, part in enumerate(parts):
        if glob.has_magic(part) and (remote or not os.path.isdir("/".join(parts[: index + 1]))):
            return index
    return len(parts) - 1


def matching_files(folder: str, pattern: str) -> list[str]:
    """Returns the files that match a folder and a pattern of `folder_and_pattern`.

    Raises:
        BadInputError: If there is none.
    """
    if pattern == _WHOLE_FOLDER:
        return find_files(folder)
    address = os.path.join(folder, pattern)
    if not is_remote(address) and not os.path.exists(address):
        address = os.path.join(glob.escape(folder), pattern)
    return find_files(address)
