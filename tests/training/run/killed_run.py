"""A small pretraining run as a program, to be killed: `python killed_run.py RUN_DIR [CHECKPOINT_EVERY]`.

Real model, real dropout, real optimizer slots, data in an order that depends on the batch number, two phases.
"""

import sys
from pathlib import Path

import keras
import tensorflow as tf

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertPretrainer
from kerasbert.training import LinearWarmupDecay, Phase, adamw, compile_pretrainer, evaluate_pretrainer, fit

BATCH, VOCABULARY, MASKED = 4, 30, 2


def new_model():
    keras.utils.set_random_seed(5)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    model = BertPretrainer(BertBackbone.from_config(config))
    compile_pretrainer(model, adamw(LinearWarmupDecay(1e-2, 5, 30), accumulation_steps=2))
    return model


def dataset(length, start_batch, stop=10_000):
    def batch(number):
        seed = tf.stack([tf.constant(length, tf.int64), number])
        tokens = length + 0 * tf.cast(number, tf.int32)  # unknown to the graph, as with real text
        token_ids = tf.random.stateless_uniform((BATCH, tokens), seed, 5, VOCABULARY, tf.int32)
        positions = tf.random.stateless_uniform((BATCH, MASKED), seed, 0, length, tf.int32)
        masked_ids = tf.gather(token_ids, positions, batch_dims=1)
        ones = tf.ones_like(token_ids)
        inputs = {"token_ids": token_ids, "segment_ids": 0 * ones, "padding_mask": ones, "mask_positions": positions}
        weights = {"masked_lm": tf.ones((BATCH, MASKED)), "next_sentence": tf.ones(BATCH)}
        return inputs, {"masked_lm": masked_ids, "next_sentence": token_ids[:, 0] % 2}, weights

    return tf.data.Dataset.range(start_batch, stop).map(batch)


def train(run_dir, checkpoint_every=3, callbacks=()):
    model = new_model()
    phases = [
        Phase("short", lambda start: dataset(6, start), 19),
        Phase("long", lambda start: dataset(12, start), 11),
    ]
    history = fit(
        model,
        phases,
        run_dir=run_dir,
        checkpoint_every=checkpoint_every,
        log_every=4,
        validate=lambda trained: evaluate_pretrainer(trained, dataset(6, 900, 902)),
        validate_every=7,
        early_stopping_patience=50,
        callbacks=callbacks,
        show_progress=False,
    )
    return model, history


class SteadyReport(keras.callbacks.Callback):
    """Prints each step that is done, so that the test can choose when to kill."""

    def on_train_batch_end(self, batch, logs=None):
        print(batch + 1, flush=True)


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3, [SteadyReport()])
