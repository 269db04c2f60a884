"""Instances that are masked once for all epochs, in the record format of google-research/bert.

Its create_pretraining_data.py writes such records, and its run_pretraining.py reads them. For new masks in each epoch:
see pretraining_dataset.py.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from kerasbert.data.pretraining.pretraining_dataset import Mask, Pack, mapped_in_order, record_batches
from kerasbert.data.pretraining.segment_pairs import SegmentPair
from kerasbert.data.text_files import PathLike

_PAIRS_AT_ONCE = 256
# Google's names of the features with one value per token -> our names.
_TOKEN_FEATURES = {"input_ids": "token_ids", "input_mask": "padding_mask", "segment_ids": "segment_ids"}


def masked_examples(
    pairs: Iterable[SegmentPair], pack: Pack, mask: Mask, seed: int, sequence_length: int, pad_id: int = 0
) -> Iterator[tf.train.Example]:
    """Packs, masks and pads pairs. The same pairs and seed give the same instances.

    Args:
        pairs: the pairs of `segment_pairs`, which are streamed.
        pack: e.g. a `SegmentPacker`.
        mask: e.g. a `MaskedLMMasker`.
        seed: random seed for the masks.
        sequence_length: rows are padded to this, which must be at least the length that `pack` makes.
        pad_id: id of the padding token.
    """
    shape = [None, sequence_length]
    iterator = iter(pairs)
    for number in itertools.count():
        chosen = list(itertools.islice(iterator, _PAIRS_AT_ONCE))
        if not chosen:
            return
        token_ids, segment_ids = pack(
            _ragged([pair.first_ids for pair in chosen]), _ragged([pair.second_ids for pair in chosen])
        )
        masked = mask(token_ids, seed=tf.constant([seed, number], tf.int64))
        columns = {
            "input_ids": masked["token_ids"].to_tensor(pad_id, shape=shape),
            "input_mask": tf.ones_like(token_ids).to_tensor(shape=shape),
            "segment_ids": segment_ids.to_tensor(shape=shape),
            "masked_lm_positions": masked["mask_positions"],
            "masked_lm_ids": masked["masked_ids"],
            "masked_lm_weights": masked["masked_weights"],
        }
        rows = {name: values.numpy() for name, values in columns.items()}
        for row, pair in enumerate(chosen):
            feature = {name: _feature(values[row]) for name, values in rows.items()}
            feature["next_sentence_labels"] = _feature(np.array([pair.is_random_next], np.int64))
            yield tf.train.Example(features=tf.train.Features(feature=feature))


def masked_dataset(
    files: PathLike | Iterable[PathLike],
    sequence_length: int,
    max_predictions: int,
    batch_size: int,
    seed: int,
    *,
    start_batch: int = 0,
    pad_to_multiple: int = 8,
    shuffle_buffer: int = 20_000,
    epochs: int | None = None,
) -> tf.data.Dataset:
    """Makes the batches of `pretraining_dataset` from instances that are masked already.

    Args:
        files: record files, a folder of them, or a pattern.
        sequence_length: T of the records.
        max_predictions: P of the records.
        batch_size: as for `pretraining_dataset`.
        seed: as for `pretraining_dataset`.
        start_batch: as for `pretraining_dataset`.
        pad_to_multiple: as for `pretraining_dataset`.
        shuffle_buffer: as for `pretraining_dataset`.
        epochs: as for `pretraining_dataset`.

    Raises:
        BadInputError: there is no file, a set of files is incomplete, or the files contain no record.
    """
    features = {
        **{name: tf.io.FixedLenFeature([sequence_length], tf.int64) for name in _TOKEN_FEATURES},
        **{
            name: tf.io.FixedLenFeature([max_predictions], tf.int64)
            for name in ("masked_lm_positions", "masked_lm_ids")
        },
        "masked_lm_weights": tf.io.FixedLenFeature([max_predictions], tf.float32),
        "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
    }

    def make_batch(number: tf.Tensor, records: tf.Tensor) -> tuple[dict, dict, dict]:
        del number  # The instances are masked already.
        parsed = tf.io.parse_example(records, features)
        rows = {name: tf.cast(value, tf.int32) for name, value in parsed.items() if value.dtype == tf.int64}
        longest = tf.reduce_max(tf.reduce_sum(rows["input_mask"], axis=1))
        length = tf.minimum(-(-longest // pad_to_multiple) * pad_to_multiple, sequence_length)
        x = {ours: rows[theirs][:, :length] for theirs, ours in _TOKEN_FEATURES.items()}  # [B, T]
        next_sentence = rows["next_sentence_labels"][:, 0]
        return (
            {**x, "mask_positions": rows["masked_lm_positions"]},
            {"masked_lm": rows["masked_lm_ids"], "next_sentence": next_sentence},
            {"masked_lm": parsed["masked_lm_weights"], "next_sentence": tf.ones_like(next_sentence, tf.float32)},
        )

    batches = record_batches(files, batch_size, seed, start_batch, shuffle_buffer, epochs=epochs)
    return mapped_in_order(batches, make_batch)


def _ragged(rows: list[np.ndarray]) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_lengths(np.concatenate(rows), [len(row) for row in rows])


def _feature(values: np.ndarray) -> tf.train.Feature:
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values.tolist()))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values.tolist()))
