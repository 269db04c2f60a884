"""Reads and writes TensorFlow checkpoints (`<prefix>.index` + `<prefix>.data-*`) as arrays by name.

Also finds which prefix in a folder is meant. Knows nothing of BERT's names: see google_folder.py and model_garden.py.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasbert.errors import BadInputError

# TensorFlow 2's checkpoints hold a description of the saved objects under this name.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_USUAL_NAME = "bert_model.ckpt"


def find_prefix(path: Path) -> Path | None:
    """The checkpoint's prefix at `path`, a folder or the prefix itself; None if there is no checkpoint.

    Of several in a folder, the one that its `checkpoint` file calls the latest, else the one named `bert_model.ckpt`.

    Raises:
        BadInputError: there are several, and nothing says which one is meant.
    """
    if not path.is_dir():
        prefix = path.with_name(path.name.removesuffix(".index"))
        return prefix if prefix.with_name(f"{prefix.name}.index").is_file() else None
    prefixes = sorted(index.with_suffix("") for index in path.glob("*.index"))
    if len(prefixes) < 2:
        return prefixes[0] if prefixes else None
    latest = tf.train.latest_checkpoint(path)
    for prefix in prefixes:
        if latest and Path(latest).name == prefix.name:
            return prefix
    if path / _USUAL_NAME in prefixes:
        return path / _USUAL_NAME
    raise BadInputError(
        f"{path}: one checkpoint must be meant. Received: {', '.join(prefix.name for prefix in prefixes)}. "
        f"Give the path of one, such as {prefixes[-1]}."
    )


def read_tensorflow(prefix: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint by name. Scalars such as the step are among them; the object graph comes as bytes.

    Raises:
        BadInputError: a file is missing or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_shape_map())}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise BadInputError(
            f"{prefix}: a TensorFlow checkpoint must have a whole .index file and every .data file that it names. "
            f"Received: {' '.join(str(error).split())}. Copy or download its files again."
        ) from error


def write_tensorflow(prefix: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as `<prefix>.index` and one `<prefix>.data-00000-of-00001`, as TensorFlow 1's Saver does.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    try:
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(arrays),
            shape_and_slices=[""] * len(arrays),
            tensors=[tf.constant(array) for array in arrays.values()],
        )
    except tf.errors.OpError as error:
        raise OSError(f"{prefix} could not be written: {error.message}") from error
