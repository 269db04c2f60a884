"""Writes segment pairs as tf.Example records in several files, and reads them again.

The features are `first_ids` and `second_ids` (token ids without special tokens) and `is_random_next` (0 or 1). Special
tokens, masks and padding are added when the records are read: see pretraining_dataset.py. For finding the files, see
pair_files.py.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasbert.data.pretraining.pair_files import SHARD_NAME, compression_of, find_shards
from kerasbert.data.pretraining.segment_pairs import SegmentPair
from kerasbert.data.text_files import PathLike
from kerasbert.errors import BadInputError
from kerasbert.files import write_folder_aside

# Feature specification for `tf.io.parse_example`.
PAIR_FEATURES = {
    "first_ids": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
    "second_ids": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
    "is_random_next": tf.io.FixedLenFeature([], tf.int64),
}


@dataclass(frozen=True)
class WrittenPairs:
    """The result of `write_pairs`.

    Attributes:
        files: the record files.
        pairs: number of pairs.
        random_pairs: number of pairs whose second segment is a random one.
        tokens: number of tokens of all pairs.

    Example:
        >>> WrittenPairs((Path("pairs-00000-of-00001.tfrecord"),), pairs=2, random_pairs=1, tokens=12).pairs
        2
    """

    files: tuple[Path, ...]
    pairs: int
    random_pairs: int
    tokens: int


def to_example(pair: SegmentPair) -> tf.train.Example:
    """Returns the pair as a tf.Example.

    Example:
        >>> pair = SegmentPair(np.array([7, 8], np.int32), np.array([9], np.int32), is_random_next=True)
        >>> sorted(to_example(pair).features.feature)
        ['first_ids', 'is_random_next', 'second_ids']
    """
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "first_ids": _int64_feature(pair.first_ids.tolist()),
                "second_ids": _int64_feature(pair.second_ids.tolist()),
                "is_random_next": _int64_feature([int(pair.is_random_next)]),
            }
        )
    )


def from_example(example: tf.train.Example | bytes) -> SegmentPair:
    """Returns the pair of a tf.Example or of its serialized bytes.

    Example:
        >>> pair = SegmentPair(np.array([7, 8], np.int32), np.array([9], np.int32), is_random_next=True)
        >>> from_example(to_example(pair))
        SegmentPair(first_ids=array([7, 8], dtype=int32), second_ids=array([9], dtype=int32), is_random_next=True)
    """
    if isinstance(example, bytes):
        example = tf.train.Example.FromString(example)
    feature = example.features.feature
    return SegmentPair(
        np.array(feature["first_ids"].int64_list.value, np.int32),
        np.array(feature["second_ids"].int64_list.value, np.int32),
        bool(feature["is_random_next"].int64_list.value[0]),
    )


def write_pairs(
    pairs: Iterable[SegmentPair], folder: PathLike, num_shards: int = 8, compress: bool = False
) -> WrittenPairs:
    """Writes pairs round-robin to `num_shards` files, `pairs-00000-of-00008.tfrecord` and so on.

    The folder appears when everything is written. A folder that was written earlier is replaced as a whole. Any other
    folder is an error.

    Args:
        pairs: the pairs of `segment_pairs`. Streamed.
        folder: the final folder.
        num_shards: number of files. More files can be read more in parallel and are shuffled better.
        compress: whether to compress the files with gzip (`.tfrecord.gz`), which halves their size but slows down
            reading.

    Raises:
        BadInputError: there is no pair, or the folder contains other files.
        OSError: the folder cannot be written or the disk is full. Then nothing is left at `folder`.

    Example:
        >>> import tempfile
        >>> pair = SegmentPair(np.array([7, 8], np.int32), np.array([9], np.int32), is_random_next=True)
        >>> written = write_pairs([pair], tempfile.mkdtemp(), num_shards=1)
        >>> written.pairs, written.tokens
        (1, 3)
    """
    if not 1 <= num_shards <= 99_999:
        raise ValueError(
            f"`num_shards` must be from 1 to 99999. Received: num_shards={num_shards}. For example `num_shards=8`."
        )
    folder = Path(folder)
    _refuse_foreign_folder(folder)
    ending = ".tfrecord.gz" if compress else ".tfrecord"
    names = [f"pairs-{shard:05d}-of-{num_shards:05d}{ending}" for shard in range(num_shards)]
    num_pairs = random_pairs = tokens = 0
    with write_folder_aside(folder) as aside:
        with _writers([aside / name for name in names], compress) as writers:
            for pair, writer in zip(pairs, itertools.cycle(writers), strict=False):
                writer.write(to_example(pair).SerializeToString(deterministic=True))
                num_pairs += 1
                random_pairs += pair.is_random_next
                tokens += len(pair.first_ids) + len(pair.second_ids)
        if not num_pairs:
            raise BadInputError("There must be at least one segment pair to write. Received: none. Add more text.")
    return WrittenPairs(tuple(folder / name for name in names), num_pairs, random_pairs, tokens)


@contextlib.contextmanager
def _writers(paths: list[Path], compress: bool) -> Iterator[list[tf.io.TFRecordWriter]]:
    """Opens the files for writing. TensorFlow's error for a full disk becomes an OSError."""
    options = tf.io.TFRecordOptions("GZIP" if compress else "")
    try:
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(tf.io.TFRecordWriter(str(path), options)) for path in paths]
    except tf.errors.OpError as error:
        raise OSError(f"Segment pairs cannot be written to '{paths[0].parent.parent}': {error.message}") from error


def read_pairs(files: PathLike | Iterable[PathLike]) -> Iterator[SegmentPair]:
    """Reads the pairs back, file by file.

    Args:
        files: record files, folders of them, or patterns.

    Yields:
        The pairs, in the order of the files.

    Raises:
        BadInputError: as for `find_shards`.

    Example:
        >>> import tempfile
        >>> pair = SegmentPair(np.array([7, 8], np.int32), np.array([9], np.int32), is_random_next=True)
        >>> written = write_pairs([pair], tempfile.mkdtemp(), num_shards=1)
        >>> [pair.first_ids.tolist() for pair in read_pairs(written.files)]
        [[7, 8]]
    """
    for path in find_shards(files):
        for record in tf.data.TFRecordDataset(str(path), compression_of(path)).as_numpy_iterator():
            yield from_example(record)


def _refuse_foreign_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInputError(
            f"Segment pairs are written to a folder. Received: '{folder}', which is a file. Choose another path."
        )
    if folder.exists():
        foreign = [path.name for path in folder.iterdir() if not SHARD_NAME.fullmatch(path.name)]
        if foreign:
            raise BadInputError(
                f"Segment pairs replace their folder as a whole. Received: '{folder}', which also contains "
                f"'{min(foreign)}'. Choose a new folder."
            )


def _int64_feature(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
