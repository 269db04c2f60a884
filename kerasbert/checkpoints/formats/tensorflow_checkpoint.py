"""Reads and writes TensorFlow checkpoints (`<prefix>.index` and `<prefix>.data-*`) as arrays by name.

Also finds the checkpoint in a folder. Knows nothing of BERT's names: see `google_checkpoint.py` and `model_garden.py`.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasbert.checkpoints.formats.other_files import unreadable_file
from kerasbert.errors import BadInputError

# TensorFlow 2's checkpoints contain a description of the saved objects under this name.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_USUAL_NAME = "bert_model.ckpt"
_PATTERN_CHARACTERS = set("[]*?\\")
# What training saves in addition to the weights: optimizer slots, counters and loss scales, in TensorFlow 1 and 2.
_TRAINING_STATE = re.compile(
    r"/(adam|lamb)_[mv]$|/(Adam|Adam_1|Momentum|ExponentialMovingAverage)$"
    r"|^(global_step|beta[12]_power|current_loss_scale|good_steps)$"
    r"|OPTIMIZER_SLOT|(^|/)(optimizer|keras_api)/|^(save_counter|step|global_step)/"
)


def find_prefix(path: Path) -> Path | None:
    """Returns the prefix of the checkpoint at `path`, or None if there is none.

    Args:
        path: A folder, a prefix, or an index file. Of several checkpoints in a folder, the one is chosen that the
            folder's `checkpoint` file calls the latest, or else the one named `bert_model.ckpt`.

    Raises:
        BadInputError: There are several checkpoints, and nothing says which one to use.
    """
    if not path.is_dir():
        prefix = path.with_name(path.name.removesuffix(".index"))
        return prefix if prefix.with_name(f"{prefix.name}.index").is_file() else None
    prefixes = sorted(index.with_suffix("") for index in path.glob("*.index"))
    if len(prefixes) < 2:
        return prefixes[0] if prefixes else None
    with _plain_path(path / "checkpoint") as plain:
        state = tf.train.get_checkpoint_state(str(plain.parent))
    latest = Path(state.model_checkpoint_path).name if state else _USUAL_NAME  # the folder may have been moved
    for name in (latest, _USUAL_NAME):
        if path / name in prefixes:
            return path / name
    raise BadInputError(
        f"{path}: the folder must contain one checkpoint. Received: {', '.join(prefix.name for prefix in prefixes)}. "
        f"Pass the path of one of them, e.g. {prefixes[-1]}."
    )


def read_tensorflow(prefix: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a checkpoint by name, without training state. The object graph is returned as bytes.

    Args:
        prefix: The path of the checkpoint without `.index`.

    Raises:
        BadInputError: A file is missing or damaged.
    """
    with _plain_path(prefix) as plain:
        try:
            reader = tf.train.load_checkpoint(str(plain))
            names = sorted(name for name in reader.get_variable_to_shape_map() if not _TRAINING_STATE.search(name))
            return {name: reader.get_tensor(name) for name in names}
        except (tf.errors.OpError, ValueError, LookupError, RuntimeError) as error:
            said = " ".join(str(error).split()).replace(str(plain), str(prefix))
            files = sorted(prefix.parent.glob("*"))
            own = [file for file in files if file.name.startswith(f"{prefix.name}.") and file.stat().st_size < 1000]
            raise unreadable_file(
                min(own, key=lambda file: file.stat().st_size) if own else prefix,
                "a TensorFlow checkpoint must have its .index file and every .data file that it names, all complete",
                said,
                "Download or copy its files again.",
            ) from error


def write_tensorflow(prefix: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to `<prefix>.index` and one `<prefix>.data-00000-of-00001`, as TensorFlow 1's `Saver` does.

    Args:
        prefix: The path of the checkpoint without `.index`. Its folder must exist.
        arrays: The arrays by name.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    with _plain_path(prefix) as plain:
        try:
            tf.raw_ops.SaveV2(
                prefix=str(plain),
                tensor_names=list(arrays),
                shape_and_slices=[""] * len(arrays),
                tensors=[tf.constant(array) for array in arrays.values()],
            )
        except tf.errors.OpError as error:
            raise OSError(f"{prefix} could not be written: {error.message}") from error


@contextlib.contextmanager
def _plain_path(path: Path) -> Iterator[Path]:
    """Yields another path of the same file, without the characters `[`, `]`, `*` and `?`.

    TensorFlow reads the path of a checkpoint as a pattern, in which these stand for other characters.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "folder")
        if set(path.name) & _PATTERN_CHARACTERS:  # the name of the checkpoint itself: link each of its files
            folder.mkdir()
            name = "checkpoint"
            for file in path.parent.iterdir():
                if file.name.startswith(f"{path.name}."):
                    (folder / f"{name}{file.name.removeprefix(path.name)}").symlink_to(file.absolute())
        else:
            name = path.name
            folder.symlink_to(path.parent.absolute(), target_is_directory=True)
        yield folder / name
