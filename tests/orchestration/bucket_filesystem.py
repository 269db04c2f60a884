"""A remote file system that behaves like Cloud Storage, for TensorFlow (and so TFX) and for Beam: `bucket://name/...`.

The objects are files in the folder named by the environment variable BUCKET_FOLDER. The implementation for TensorFlow
is in bucket_filesystem.cc, which lists the differences from a disk. The one for Beam is the class below. All processes
that call `register` see the same objects.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import tensorflow as tf
from apache_beam.io.filesystem import BeamIOError, CompressedFile, CompressionTypes, FileMetadata, FileSystem

SCHEME = "bucket"
_SOURCE = Path(__file__).with_suffix(".cc")


def build(folder: Path) -> Path:
    """Compiles the file system for TensorFlow."""
    library = folder / "bucket_filesystem.so"
    flags = [*tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags()]
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, *flags], check=True)
    return library


def register(library: Path | str) -> None:
    """Registers the file system with TensorFlow. Beam finds every subclass of `FileSystem` by itself."""
    if SCHEME not in tf.io.gfile.get_registered_schemes():
        tf.experimental.register_filesystem_plugin(str(library))


def objects(address: str = f"{SCHEME}://") -> list[str]:
    """Returns the names of all objects that begin with an address."""
    names = (f"{SCHEME}://{name.replace('|', '/')}" for name in os.listdir(os.environ["BUCKET_FOLDER"]))
    return sorted(name for name in names if name.startswith(address))


def _file(path: str) -> Path:
    return Path(os.environ["BUCKET_FOLDER"], path.removeprefix(f"{SCHEME}://").replace("/", "|"))


class BucketFileSystem(FileSystem):  # type: ignore[misc]
    """The file system for Beam: like `apache_beam.io.gcp.gcsfilesystem.GCSFileSystem`, on the same local objects."""

    @classmethod
    def scheme(cls) -> str:
        return SCHEME

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *(path.strip("/") for path in paths)])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        """Does nothing: buckets have no folders."""

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for name in objects(dir_or_prefix):
            yield self.metadata(name)

    def create(
        self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO
    ) -> BinaryIO | CompressedFile:
        return self._opened(path, "wb", compression_type)

    def open(
        self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO
    ) -> BinaryIO | CompressedFile:
        return self._opened(path, "rb", compression_type)

    def _opened(self, path: str, mode: str, compression_type: str) -> BinaryIO | CompressedFile:
        try:
            file = _file(path).open(mode)
        except OSError as error:
            raise BeamIOError("Opening failed", {path: error}) from error
        if compression_type == CompressionTypes.AUTO:
            compression_type = CompressionTypes.detect_compression_type(path)
        is_plain = compression_type == CompressionTypes.UNCOMPRESSED
        return file if is_plain else CompressedFile(file, compression_type)

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            _file(target).write_bytes(_file(source).read_bytes())

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            _file(source).rename(_file(target))

    def exists(self, path: str) -> bool:
        return _file(path).exists()

    def size(self, path: str) -> int:
        return int(self.metadata(path).size_in_bytes)

    def last_updated(self, path: str) -> float:
        return float(self.metadata(path).last_updated_in_seconds)

    def checksum(self, path: str) -> str:
        return str(self.last_updated(path))

    def metadata(self, path: str) -> FileMetadata:
        try:
            found = _file(path).stat()
        except OSError as error:
            raise BeamIOError("No such object", {path: error}) from error
        return FileMetadata(path, found.st_size, found.st_mtime)

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            for name in [*objects(path.rstrip("/") + "/"), path]:
                _file(name).unlink(missing_ok=True)
