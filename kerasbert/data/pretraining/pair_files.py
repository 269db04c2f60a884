"""Finds the record files that `write_pairs` writes, and counts their records.

For the content of the records, see pretraining_examples.py.
"""

import os
import re
import struct
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from kerasbert.data.text_files import PathLike, find_text_files
from kerasbert.errors import BadInputError

SHARD_NAME = re.compile(r"pairs-(\d{5})-of-(\d{5})\.tfrecord(\.gz)?")
# A record: its length (8 bytes), a checksum of the length (4), its bytes, a checksum of those (4).
_RECORD_HEADER_BYTES = 12
_RECORD_FOOTER_BYTES = 4


def find_shards(files: PathLike | Iterable[PathLike]) -> list[Path]:
    """Finds record files, in the order of their names.

    Args:
        files: record files, folders of them, or patterns.

    Raises:
        BadInputError: there is no file, or one of a set of `-of-00008` files is missing.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "pairs-00000-of-00001.tfrecord").write_bytes(b"")
        >>> [path.name for path in find_shards(folder)]
        ['pairs-00000-of-00001.tfrecord']
    """
    paths = sorted(find_text_files(files))
    shards: dict[tuple[Path, str], set[int]] = {}
    for path in paths:
        if match := SHARD_NAME.fullmatch(path.name):
            shards.setdefault((path.parent, match[2]), set()).add(int(match[1]))
    for (folder, number), found in shards.items():
        missing = set(range(int(number))) - found
        if missing and not isinstance(files, str | os.PathLike):
            continue  # The files were named one by one.
        if missing:
            raise BadInputError(
                f"A set of record files must be complete. Received: {len(found)} of {int(number)} files in '{folder}' "
                f"(number {min(missing)} is missing). Write the pairs again."
            )
    return paths


def compression_of(path: Path) -> str:
    """Returns TensorFlow's name of the file's compression, "GZIP" or "", from the file's extension."""
    return "GZIP" if path.suffix == ".gz" else ""


def has_record(path: Path) -> bool:
    """Returns whether the file has records.

    Raises:
        BadInputError: the file does not begin with a complete record.
    """
    try:
        return any(True for _ in tf.data.TFRecordDataset(str(path), compression_of(path)).take(1))
    except tf.errors.DataLossError as error:
        raise BadInputError(_broken_message(path)) from error


def count_records(path: Path) -> int:
    """Counts the records of one file. Of an uncompressed file, only the lengths of its records are read.

    Raises:
        BadInputError: the file ends within a record, or is not a record file.
    """
    if compression_of(path):
        records = tf.data.TFRecordDataset(str(path), "GZIP").batch(1024)
        try:
            return sum(len(batch) for batch in records)
        except tf.errors.DataLossError as error:
            raise BadInputError(_broken_message(path)) from error
    size = path.stat().st_size
    number = position = 0
    with path.open("rb") as file:
        while position < size:
            header = file.read(_RECORD_HEADER_BYTES)
            if len(header) < _RECORD_HEADER_BYTES:
                raise BadInputError(_broken_message(path))
            length = struct.unpack_from("<Q", header)[0]
            position += _RECORD_HEADER_BYTES + length + _RECORD_FOOTER_BYTES
            if position > size:
                raise BadInputError(_broken_message(path))
            file.seek(position)
            number += 1
    return number


def _broken_message(path: Path) -> str:
    """Returns the error message for a file with incomplete records."""
    return f"A record file must contain whole records. Received: '{path}', which does not. Write the pairs again."
