"""Batches of shuffled elements over many epochs, deterministic by seed, which can start at any batch.

The order depends only on the seed, the epoch and the batch number, never on earlier batches: a run that starts at batch
k gets exactly the same batches from there on as an uninterrupted run. Works on elements of any kind.
"""

import hashlib
import sys
from collections.abc import Callable

import tensorflow as tf


def seed_for(seed: int, purpose: str) -> int:
    """A separate seed (31 bits) for each purpose, so that no two draws of one run are correlated."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def resumable_batches(
    epoch_elements: Callable[[tf.Tensor], tf.data.Dataset],
    epoch_size: Callable[[], int],
    batch_size: int,
    *,
    seed: int,
    start_batch: int = 0,
    epochs: int | None = None,
    length_window: int = 1,
    lengths_of: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """Makes a dataset of (batch number, elements of the batch) from `start_batch` on.

    Batches continue across epochs. Only the very last one may be smaller, if `epochs` is given.

    Args:
        epoch_elements: maps an epoch's number (int64 scalar) to its elements, in that epoch's order.
        epoch_size: returns the number of elements in an epoch. It is called only if elements are skipped.
        batch_size: number of elements in a batch.
        seed: random seed for the order of batches within a window.
        start_batch: number of the first batch. Elements before it are skipped without being batched, and whole epochs
            without being read.
        epochs: number of epochs. None repeats them forever.
        length_window: number of batches whose elements are sorted by length together and split into batches, which then
            come in random order. This saves padding. 1 leaves the order unchanged.
        lengths_of: maps a tensor of elements to numbers to sort by. Needed if `length_window` is above 1.
    """
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("start_batch", start_batch, 0),
        ("length_window", length_window, 1),
    ):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}. Choose a larger number.")
    start_window = start_batch // length_window
    skipped = start_window * length_window * batch_size
    first_epoch, skipped = divmod(skipped, epoch_size()) if skipped else (0, 0)
    last_epoch = sys.maxsize if epochs is None else max(epochs, first_epoch)
    elements = tf.data.Dataset.range(first_epoch, last_epoch).flat_map(epoch_elements).skip(skipped)
    if length_window == 1 or lengths_of is None:
        batches = elements.batch(batch_size)
    else:
        windows = elements.batch(batch_size * length_window).enumerate(start_window)
        order_seed = seed_for(seed, "order of batches in a window")
        batches = windows.flat_map(
            lambda number, window: _batches_by_length(
                window, lengths_of(window), batch_size, tf.stack([order_seed, number])
            )
        ).skip(start_batch % length_window)
    return batches.enumerate(start_batch)


def _batches_by_length(window: tf.Tensor, lengths: tf.Tensor, batch_size: int, seed: tf.Tensor) -> tf.data.Dataset:
    """Returns the window's elements in batches of similar length, in random order."""
    by_length = tf.gather(window, tf.argsort(lengths, stable=True))
    num_batches = (tf.shape(by_length)[0] + batch_size - 1) // batch_size
    order = tf.random.experimental.stateless_shuffle(tf.range(num_batches), seed)
    return tf.data.Dataset.from_tensor_slices(order).map(
        lambda batch: by_length[batch * batch_size : (batch + 1) * batch_size]
    )
