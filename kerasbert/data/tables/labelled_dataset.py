"""Turns texts and their targets into batches for fine-tuning and evaluation. Tokenizing is passed in as an object."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasbert.data.resumable_batches import resumable_batches, seed_for

ToInputs = Callable[[Any], dict[str, tf.Tensor]]


def labelled_dataset(
    texts: Sequence[str] | tuple[Sequence[str], Sequence[str]],
    targets: np.ndarray | None,
    to_inputs: ToInputs,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    start_batch: int = 0,
    length_window: int = 1,
    epochs: int | None = 1,
) -> tf.data.Dataset:
    """Returns batches of (inputs, targets), or only of inputs if there are no targets.

    Args:
        texts: the texts, or (texts, pairs): `LabelledTexts.inputs`.
        targets: one row for each text: `LabelledTexts.targets(labels)`.
        to_inputs: maps texts [B], or ([B], [B]), to a dict of tensors, e.g. a `TextToInputs`.
        batch_size: number of rows in a batch. Only the last batch may be smaller.
        seed: random seed for the order.
        shuffle: whether each epoch has a different order. Otherwise the order of the rows is kept.
        start_batch: number of the first batch of the same sequence. Earlier ones are not tokenized.
        length_window: number of batches whose rows are sorted by length before they are split into batches, which then
            come in random order. This saves padding in training, and needs `shuffle`.
        epochs: number of passes over the rows (batches continue across epochs). None repeats them forever.

    Raises:
        ValueError: there is no text, or `targets` or `length_window` does not fit the other arguments.

    Example:
        >>> to_inputs = lambda texts: {"length": tf.strings.length(texts)}
        >>> dataset = labelled_dataset(["a", "bcd", "ef"], np.array([0, 1, 0]), to_inputs, batch_size=2)
        >>> [(inputs["length"].numpy().tolist(), targets.numpy().tolist()) for inputs, targets in dataset]
        [([1, 3], [0, 1]), ([2], [0])]
    """
    columns = _columns(texts)
    num_rows = len(columns[0])
    if targets is not None and len(targets) != num_rows:
        raise ValueError(
            f"`targets` must have one row for each text. Received: {len(targets)} targets for {num_rows} texts."
        )
    if not num_rows:
        raise ValueError("`texts` must contain at least one text. Received: none.")
    if length_window > 1 and not shuffle:
        raise ValueError(
            f"`length_window` changes the order, which needs `shuffle=True`. Received: length_window={length_window}, "
            "shuffle=False."
        )
    lengths = tf.add_n([tf.strings.length(column) for column in columns])
    all_targets = None if targets is None else tf.constant(targets)

    def make_batch(rows: tf.Tensor) -> Any:
        chosen = tuple(tf.gather(column, rows) for column in columns)
        inputs = to_inputs(chosen if len(chosen) == 2 else chosen[0])
        return inputs if all_targets is None else (inputs, tf.gather(all_targets, rows))

    return row_batches(
        num_rows,
        lengths,
        make_batch,
        batch_size,
        seed=seed,
        shuffle=shuffle,
        start_batch=start_batch,
        length_window=length_window,
        epochs=epochs,
    )


def row_batches(
    num_rows: int,
    lengths: tf.Tensor,
    make_batch: Callable[[tf.Tensor], Any],
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    start_batch: int = 0,
    length_window: int = 1,
    epochs: int | None = 1,
) -> tf.data.Dataset:
    """Returns batches of numbered rows, in the order and with the options of `labelled_dataset`.

    Args:
        num_rows: the number of rows.
        lengths: their lengths, to sort by, [num_rows].
        make_batch: maps the numbers of a batch's rows, int64 [B], to the batch, in the graph.
        batch_size: as for `labelled_dataset`, like all other arguments.
        seed: random seed.
        shuffle: whether each epoch has a different order.
        start_batch: number of the first batch.
        length_window: number of batches whose rows are sorted by length.
        epochs: number of passes.

    Example:
        >>> [rows.numpy().tolist() for rows in row_batches(3, tf.constant([5, 2, 9]), lambda rows: rows, 2)]
        [[0, 1], [2]]
    """
    order_seed = tf.constant(seed_for(seed, "order of rows"), tf.int64)

    def rows_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(num_rows, dtype=tf.int64)
        if shuffle:
            rows = tf.random.experimental.stateless_shuffle(rows, tf.stack([order_seed, epoch]))
        return tf.data.Dataset.from_tensor_slices(rows)

    batches = resumable_batches(
        rows_of_epoch,
        lambda: num_rows,
        batch_size,
        seed=seed,
        start_batch=start_batch,
        epochs=epochs,
        length_window=length_window,
        lengths_of=lambda rows: tf.gather(lengths, rows),
    )
    options = tf.data.Options()
    options.deterministic = True
    dataset = batches.map(lambda _, rows: make_batch(rows), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def _columns(texts: Any) -> tuple[tf.Tensor, ...]:
    is_pair = isinstance(texts, tuple) and len(texts) == 2 and not isinstance(texts[0], str | bytes)
    columns = tuple(tf.constant(list(column), tf.string) for column in (texts if is_pair else (texts,)))
    if is_pair and len(texts[0]) != len(texts[1]):
        raise ValueError(
            "Pairs must have as many first as second texts. "
            f"Received: {len(texts[0])} first and {len(texts[1])} second texts."
        )
    return columns
