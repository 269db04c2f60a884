"""Reads the TFRecord file with the warm-up requests of a version, without TensorFlow."""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kerasbert_serving.server.statuses import Code, ServingError


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file.

    Raises:
        ServingError: DATA_LOSS if the file is corrupt, FAILED_PRECONDITION if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            # A record is the length of the data, the checksum of the length, the data, and the checksum of the data.
            while start := file.read(12):
                at = file.tell() - len(start)
                [size] = struct.unpack("<Q", _checked(start, 8, at))
                yield _checked(file.read(size + 4), size, at)
    except OSError as error:
        raise ServingError(Code.FAILED_PRECONDITION, f"{path}; {error.strerror or error}") from error


def _checked(content: bytes, size: int, at: int) -> bytes:
    """Returns the data before a checksum."""
    data, checksum = content[:size], content[size:]
    if len(checksum) != 4 or struct.pack("<I", _masked_crc32c(data)) != checksum:
        kind = "truncated" if len(checksum) != 4 else "corrupted"
        raise ServingError(
            Code.DATA_LOSS, f"{kind} record at {at}. Please verify your warmup data is in TFRecord format."
        )
    return data


def _masked_crc32c(data: bytes) -> int:
    crc, table = 0xFFFFFFFF, _crc32c_table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _crc32c_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table
