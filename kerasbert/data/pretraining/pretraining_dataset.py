"""Turns written segment pairs into batches for pretraining: packed, masked and padded.

The same seed gives the same batches. Each epoch has a different order and different masks. A run can start at any
batch. Packing and masking are passed in as objects: see the preprocessing package.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert.data.pretraining.pair_files import compression_of, count_records, find_shards, has_record
from kerasbert.data.pretraining.pretraining_examples import PAIR_FEATURES
from kerasbert.data.resumable_batches import resumable_batches, seed_for
from kerasbert.data.text_files import PathLike
from kerasbert.errors import BadInputError

Pack = Callable[[tf.RaggedTensor, tf.RaggedTensor], tuple[tf.RaggedTensor, tf.RaggedTensor]]
Mask = Callable[..., dict[str, Any]]

_READ_FILES_AT_ONCE = 16


def pretraining_dataset(
    files: PathLike | Iterable[PathLike],
    pack: Pack,
    mask: Mask,
    batch_size: int,
    seed: int,
    *,
    start_batch: int = 0,
    pad_to_multiple: int = 8,
    sequence_length: int | None = None,
    pad_id: int = 0,
    shuffle_buffer: int = 20_000,
    length_window: int = 1,
    epochs: int | None = None,
) -> tf.data.Dataset:
    """Makes batches (x, y, sample_weight) for `BertPretrainer`. Legend: B batch, T tokens, P masked positions.

    * x: `token_ids`, `segment_ids`, `padding_mask` int32 [B, T], `mask_positions` int32 [B, P]
    * y: `masked_lm` int32 [B, P], `next_sentence` int32 [B] (1 for a random second segment)
    * sample_weight: `masked_lm` float32 [B, P] (0 where a position is unused), `next_sentence` float32 [B]

    Args:
        files: the output of `write_pairs`: its folder, its files or a glob pattern.
        pack: (first, second) ragged token ids -> (token_ids, segment_ids), ragged, e.g. a `SegmentPacker`.
        mask: (token_ids, seed=[2] int64) -> dict of ragged `token_ids` and dense `mask_positions`, `masked_ids`,
            `masked_weights`, e.g. a `MaskedLMMasker`.
        batch_size: number of pairs in a batch.
        seed: random seed for the order and the masks.
        start_batch: number of the first batch of the same endless sequence. Earlier ones are not packed or masked.
        pad_to_multiple: T is the batch's longest row, rounded up to a multiple of this.
        sequence_length: maximum of T, which must be at least the maximum length of `pack`. With
            `pad_to_multiple=sequence_length`, T always has this value.
        pad_id: id of the padding token.
        shuffle_buffer: number of pairs in memory that are shuffled. 0 keeps the order of the files in every epoch, for
            evaluation.
        length_window: number of batches whose pairs are sorted by length before they are split into batches, which
            saves padding if documents are short.
        epochs: number of passes over the pairs. None repeats them forever.

    Raises:
        BadInputError: there is no file, a set of files is incomplete, or the files contain no record.

    Example:
        >>> import numpy as np, tempfile
        >>> from kerasbert.data import SegmentPair, write_pairs
        >>> from kerasbert.preprocessing import MaskedLMMasker, SegmentPacker, Vocabulary
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
        >>> pair = SegmentPair(np.array([5, 6], np.int32), np.array([6], np.int32), is_random_next=True)
        >>> written = write_pairs([pair], tempfile.mkdtemp(), num_shards=1)
        >>> pack, mask = SegmentPacker(vocabulary, sequence_length=8), MaskedLMMasker(vocabulary, max_predictions=2)
        >>> dataset = pretraining_dataset(written.files, pack, mask, batch_size=1, seed=0, epochs=1)
        >>> x, y, sample_weight = next(iter(dataset))
        >>> x["segment_ids"].numpy().tolist(), y["next_sentence"].numpy().tolist()
        ([[0, 0, 0, 0, 1, 1, 0, 0]], [1])
    """
    batches = record_batches(files, batch_size, seed, start_batch, shuffle_buffer, length_window, epochs)
    make_batch = _BatchMaker(pack, mask, seed_for(seed, "masks"), pad_to_multiple, sequence_length, pad_id)
    return mapped_in_order(batches, make_batch)


def record_batches(
    files: PathLike | Iterable[PathLike],
    batch_size: int,
    seed: int,
    start_batch: int = 0,
    shuffle_buffer: int = 20_000,
    length_window: int = 1,
    epochs: int | None = None,
) -> tf.data.Dataset:
    """Reads (batch number, serialized records [B]) from record files. For the arguments, see `pretraining_dataset`."""
    paths = find_shards(files)
    if not any(has_record(path) for path in paths):
        raise BadInputError(
            f"Record files must contain at least one record. Received: {len(paths)} from '{paths[0]}' on, all empty. "
            "Write the pairs again."
        )
    records = _Records(paths, seed, shuffle_buffer)
    return resumable_batches(
        records.of_epoch,
        records.number,
        batch_size,
        seed=seed,
        start_batch=start_batch,
        epochs=epochs,
        length_window=length_window,
        # A record's size grows with its tokens, and is known without parsing it.
        lengths_of=tf.strings.length,
    )


def mapped_in_order(batches: tf.data.Dataset, make_batch: Callable[..., Any]) -> tf.data.Dataset:
    """Applies a function to batches in parallel, ahead of their use and in order."""
    dataset = batches.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    options.deterministic = True
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


class _Records:
    """The serialized pairs of the files, in a different order in each epoch."""

    def __init__(self, paths: list[Path], seed: int, shuffle_buffer: int) -> None:
        self._paths = paths
        self._files = tf.constant([[str(path), compression_of(path)] for path in paths])
        self._shuffle_buffer = shuffle_buffer
        self._seeds = {name: seed_for(seed, name) for name in ("order of files", "first window", "order in windows")}

    def number(self) -> int:
        """The number of records in all files."""
        return sum(count_records(path) for path in self._paths)

    def of_epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Returns the records of one epoch, in the order of that epoch."""
        if not self._shuffle_buffer:
            return self._interleaved(self._files, 1)
        files = tf.random.experimental.stateless_shuffle(self._files, self._seed("order of files", epoch))
        records = self._interleaved(files, _READ_FILES_AT_ONCE)
        # Whole windows are shuffled. The first one has a random size, so the borders of windows differ between epochs.
        first_window = tf.random.stateless_uniform(
            [], self._seed("first window", epoch), 1, self._shuffle_buffer + 1, tf.int64
        )
        windows = records.take(first_window).batch(self._shuffle_buffer)
        windows = windows.concatenate(records.skip(first_window).batch(self._shuffle_buffer))
        return windows.enumerate().map(lambda number, window: self._shuffled(window, epoch, number)).unbatch()

    def _interleaved(self, files: tf.Tensor, files_at_once: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(files).interleave(
            lambda file: tf.data.TFRecordDataset(file[0], file[1]), cycle_length=files_at_once
        )

    def _shuffled(self, window: tf.Tensor, epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        seed = tf.random.fold_in(self._seed("order in windows", epoch), number)
        return tf.random.experimental.stateless_shuffle(window, seed)

    def _seed(self, name: str, epoch: tf.Tensor) -> tf.Tensor:
        return tf.stack([tf.constant(self._seeds[name], tf.int64), epoch])


class _BatchMaker:
    """Parses, packs, masks and pads one batch. Its masks depend only on the seed and the batch's number."""

    def __init__(
        self, pack: Pack, mask: Mask, seed: int, pad_to_multiple: int, sequence_length: int | None, pad_id: int
    ) -> None:
        if pad_to_multiple < 1:
            raise ValueError(
                f"`pad_to_multiple` must be at least 1. Received: pad_to_multiple={pad_to_multiple}. "
                "For example `pad_to_multiple=8`."
            )
        self._pack = pack
        self._mask = mask
        self._seed = tf.constant(seed, tf.int64)
        self._pad_to_multiple = pad_to_multiple
        self._sequence_length = sequence_length
        self._pad_id = pad_id

    def __call__(self, number: tf.Tensor, records: tf.Tensor) -> tuple[dict, dict, dict]:
        pairs = tf.io.parse_example(records, PAIR_FEATURES)
        first, second = tf.cast(pairs["first_ids"], tf.int32), tf.cast(pairs["second_ids"], tf.int32)
        token_ids, segment_ids = self._pack(first, second)
        masked = self._mask(token_ids, seed=tf.stack([self._seed, number]))
        length = self._padded_length(token_ids)
        x = {
            "token_ids": self._padded(masked["token_ids"], length, self._pad_id),
            "segment_ids": self._padded(segment_ids, length, 0),
            "padding_mask": self._padded(tf.ones_like(token_ids), length, 0),
            "mask_positions": masked["mask_positions"],
        }
        next_sentence = tf.cast(pairs["is_random_next"], tf.int32)
        y = {"masked_lm": masked["masked_ids"], "next_sentence": next_sentence}
        sample_weight = {
            "masked_lm": masked["masked_weights"],
            "next_sentence": tf.ones_like(next_sentence, tf.float32),
        }
        return x, y, sample_weight

    def _padded_length(self, token_ids: tf.RaggedTensor) -> tf.Tensor:
        longest = tf.cast(token_ids.bounding_shape(axis=1), tf.int64)
        length = -(-longest // self._pad_to_multiple) * self._pad_to_multiple
        if self._sequence_length is None:
            return length
        return tf.maximum(longest, tf.minimum(length, self._sequence_length))

    def _padded(self, ids: tf.RaggedTensor, length: tf.Tensor, padding: int) -> tf.Tensor:
        dense = tf.cast(ids, tf.int32).to_tensor(default_value=padding, shape=tf.stack([-1, length]))  # [B, T]
        is_fixed = self._sequence_length is not None and self._sequence_length == self._pad_to_multiple
        return tf.ensure_shape(dense, [None, self._sequence_length if is_fixed else None])
