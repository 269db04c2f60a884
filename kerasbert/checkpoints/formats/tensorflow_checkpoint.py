"""Reads and writes TensorFlow checkpoints (`<prefix>.index` + `<prefix>.data-*`) as arrays by name.

Also finds which prefix in a folder is meant. Knows nothing of BERT's names: see google_checkpoint.py and
model_garden.py.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasbert.errors import BadInputError

# TensorFlow 2's checkpoints hold a description of the saved objects under this name.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_USUAL_NAME = "bert_model.ckpt"
# What training leaves beside the weights: optimizer slots, counters and loss scales, of TensorFlow 1 and 2.
_TRAINING_STATE = re.compile(
    r"/(adam|lamb)_[mv]$|/(Adam|Adam_1|Momentum|ExponentialMovingAverage)$"
    r"|^(global_step|beta[12]_power|current_loss_scale|good_steps)$"
    r"|OPTIMIZER_SLOT|(^|/)(optimizer|keras_api)/|^(save_counter|step|global_step)/"
)


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
    state = tf.train.get_checkpoint_state(str(path))
    latest = Path(state.model_checkpoint_path).name if state else _USUAL_NAME  # the folder may have been moved
    for name in (latest, _USUAL_NAME):
        if path / name in prefixes:
            return path / name
    raise BadInputError(
        f"{path}: one checkpoint must be meant. Received: {', '.join(prefix.name for prefix in prefixes)}. "
        f"Give the path of one, such as {prefixes[-1]}."
    )


def read_tensorflow(prefix: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint by name, without what only training needs. The object graph comes as bytes.

    Raises:
        BadInputError: a file is missing or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = sorted(name for name in reader.get_variable_to_shape_map() if not _TRAINING_STATE.search(name))
        return {name: reader.get_tensor(name) for name in names}
    except (tf.errors.OpError, ValueError, LookupError, RuntimeError) as error:
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
