"""Reads and writes safetensors files, whole or in shards that an index lists. Knows nothing of BERT's names."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kerasbert.checkpoints.formats.other_files import unreadable_file
from kerasbert.errors import BadInputError

# Types that NumPy and ml_dtypes have.
_READABLE_TYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of one file by name.

    Raises:
        BadInputError: The file is incomplete, its header does not describe its data, or a type is unknown.
    """
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            types = {name: str(file.get_slice(name).get_dtype()) for name in names}
            unknown = {name: type for name, type in types.items() if type not in _READABLE_TYPES}
            if unknown:
                raise BadInputError(
                    f"{path}: tensors must have a type that NumPy has, e.g. F32 or BF16. Received: {unknown}. "
                    "Save the model again without quantization."
                )
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise unreadable_file(
            path,
            "a safetensors file must be complete, with a header that describes its data exactly",
            error,
            "Download or copy the file again.",
        ) from error


def read_shards(index_path: Path, read_shard: Callable[[Path], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the arrays of all files that an index of Hugging Face (`*.index.json`) lists.

    Args:
        index_path: The index, in the folder of its shards.
        read_shard: Reads one shard, e.g. `read_safetensors`.

    Raises:
        BadInputError: The index is invalid, a shard is missing, or a shard contains other weights than listed.
    """
    weight_map = _read_weight_map(index_path)
    shards = sorted(set(weight_map.values()))
    missing = [name for name in shards if not (index_path.parent / name).is_file()]
    if missing:
        raise BadInputError(
            f"{index_path}: every file that the index names must exist. Missing: {', '.join(missing)}. "
            "Download or copy the missing files into the same folder."
        )
    arrays: dict[str, np.ndarray] = {}
    for name in shards:
        shard = read_shard(index_path.parent / name)
        listed = {weight for weight, file in weight_map.items() if file == name}
        if listed != shard.keys():
            raise BadInputError(
                f"{index_path}: the index must list exactly the weights of each file. Received: {name}, in which "
                f"{sorted(listed - shard.keys())} are missing and {sorted(shard.keys() - listed)} are not listed. "
                "Use the index and the files of the same save."
            )
        arrays |= shard
    return arrays


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to one file, marked as PyTorch's, as Hugging Face requires.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        save_file(contiguous, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path} could not be written: {error}") from error


def _read_weight_map(index_path: Path) -> dict[str, str]:
    """The name of the file of each weight."""
    try:
        weight_map = json.loads(index_path.read_text(encoding="utf-8"))["weight_map"]
        names = [*weight_map, *weight_map.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable_file(
            index_path,
            "an index must be JSON with a `weight_map` of names to files",
            repr(error),
            "Download or copy the file again.",
        ) from error
    if not weight_map or not all(isinstance(name, str) for name in names):
        raise BadInputError(
            f"{index_path}: `weight_map` must map weight names to file names. Received: {str(weight_map)[:200]}. "
            "Download or copy the file again."
        )
    outside = sorted({file for file in weight_map.values() if Path(file).name != file})
    if outside:
        raise BadInputError(
            f"{index_path}: the files must be in the folder of the index. Received: {', '.join(outside)}. "
            "Move them there, and correct their names in the index."
        )
    return dict(weight_map)
