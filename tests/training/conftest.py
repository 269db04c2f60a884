"""A classifier with dropout that trains in milliseconds, and data for it that can begin at any batch."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.training import LinearWarmupDecay, adamw, compile_classifier

TOKENS = 20


class MaskedMean(keras.layers.Layer):
    """[B, T, H] and a mask [B, T] -> the mean over real tokens [B, H]."""

    def call(self, hidden, padding_mask):
        mask = ops.expand_dims(ops.cast(padding_mask, hidden.dtype), -1)
        return ops.sum(hidden * mask, axis=1) / ops.sum(mask, axis=1)


def new_classifier(num_labels=3, hidden_size=4, peak=0.05, dropout=0.3, accumulation_steps=1, total_steps=40):
    """Return the same compiled model each time."""
    keras.utils.set_random_seed(7)
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    hidden = keras.layers.Embedding(TOKENS, hidden_size, name="embeddings")(inputs["token_ids"])
    pooled = keras.layers.Dropout(dropout, name="dropout")(MaskedMean(name="mean")(hidden, inputs["padding_mask"]))
    model = keras.Model(inputs, keras.layers.Dense(num_labels, name="logits")(pooled))
    schedule = LinearWarmupDecay(peak, 4, total_steps)
    compile_classifier(model, adamw(schedule, accumulation_steps=accumulation_steps), "single_label_classification")
    # Tracing would take most of a test's time; tests of the whole way, with a BERT, run compiled.
    model.run_eagerly = keras.backend.backend() == "tensorflow"
    return model


def numbered_batch(number, rows=4, length=5):
    """Return batch `number` of an infinite stream. The first token determines the label."""
    random = np.random.default_rng([11, number])
    token_ids = random.integers(0, TOKENS, (rows, length)).astype("int32")
    real = random.integers(1, length + 1, (rows, 1))
    padding_mask = (np.arange(length) < real).astype("int32")
    return {"token_ids": token_ids, "padding_mask": padding_mask}, token_ids[:, 0] % 3


def batches_from(start_batch, stop=10_000):
    """Return what `make_dataset` returns: batches from a number on."""
    return (numbered_batch(number) for number in range(start_batch, stop))


def weights_of(model):
    """Return all variables of the model, including seeds, as a list of arrays."""
    return [ops.convert_to_numpy(variable) for variable in model.variables]


def assert_same_bits(model, other):
    for one, two in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_array_equal(one, two)


class Interrupt(keras.callbacks.Callback):
    """Performs an action after one step."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.step:
            self.action(self.model)


@pytest.fixture(scope="session")
def stand_in():
    """The functions of this file, for the test modules."""
    import types

    return types.SimpleNamespace(
        new_classifier=new_classifier,
        numbered_batch=numbered_batch,
        batches_from=batches_from,
        assert_same_bits=assert_same_bits,
        weights_of=weights_of,
        Interrupt=Interrupt,
    )
