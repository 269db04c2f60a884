"""Turns texts and their targets into batches for fine-tuning and evaluation. Tokenizing is given as an object."""

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
    """Gives batches (inputs, targets), or inputs alone without targets.

    Args:
        texts: the texts, or (texts, pairs): `LabelledTexts.inputs`.
        targets: one row for each text: `LabelledTexts.targets(labels)`.
        to_inputs: maps texts [B], or ([B], [B]), to a dict of tensors, such as a `TextToInputs`.
        batch_size: rows in a batch. Only the last batch of all may be smaller.
        seed: of the order.
        shuffle: another order in each epoch. Without it the rows come as they are.
        start_batch: begin at this batch of the same sequence; those before are not tokenized.
        length_window: so many batches' rows are sorted by length before they are cut into batches, which then come in
            random order. Saves padding in training. Needs `shuffle`.
        epochs: how many times the rows are gone through (batches run over the borders), or None for no end.
    """
    columns = _columns(texts)
    num_rows = len(columns[0])
    if targets is not None and len(targets) != num_rows:
        raise ValueError(
            f"`targets` must have one row for each text. Received: {len(targets)} targets for {num_rows} texts."
        )
    if not num_rows:
        raise ValueError("`texts` must hold at least one text. Received: none.")
    if length_window > 1 and not shuffle:
        raise ValueError(
            f"`length_window` changes the order, which needs `shuffle=True`. Received: length_window={length_window}, "
            "shuffle=False."
        )
    lengths = tf.add_n([tf.strings.length(column) for column in columns])
    all_targets = None if targets is None else tf.constant(targets)
    order_seed = tf.constant(seed_for(seed, "order of rows"), tf.int64)

    def rows_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(num_rows, dtype=tf.int64)
        if shuffle:
            rows = tf.random.experimental.stateless_shuffle(rows, tf.stack([order_seed, epoch]))
        return tf.data.Dataset.from_tensor_slices(rows)

    def make_batch(_: tf.Tensor, rows: tf.Tensor) -> Any:
        chosen = tuple(tf.gather(column, rows) for column in columns)
        inputs = to_inputs(chosen if len(chosen) == 2 else chosen[0])
        return inputs if all_targets is None else (inputs, tf.gather(all_targets, rows))

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
    dataset = batches.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def _columns(texts: Any) -> tuple[tf.Tensor, ...]:
    is_pair = isinstance(texts, tuple) and len(texts) == 2 and not isinstance(texts[0], str | bytes)
    columns = tuple(tf.constant(list(column), tf.string) for column in (texts if is_pair else (texts,)))
    if is_pair and len(texts[0]) != len(texts[1]):
        raise ValueError(
            f"Both texts of a pair must be there. Received: {len(texts[0])} first and {len(texts[1])} second texts."
        )
    return columns
