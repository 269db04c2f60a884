"""Compares the speed of kerasbert's encoder with keras-hub's BertBackbone of the same size, compiled in the same way.

The two run alternately, so other load on the machine slows both equally. Prints medians and ratios as JSON. A ratio is
keras-hub's time divided by ours: above 1, ours is faster. Nothing is asserted.

    KERAS_BACKEND=tensorflow python benchmarks/encoder_speed.py --rounds 30
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone

# The cases: name, batch, tokens, whether it is a training step, whether XLA compiles it.
CASES = [
    ("forward, batch 32 x 64", 32, 64, False, False),
    ("training step, batch 32 x 64", 32, 64, True, False),
    ("forward, batch 1 x 32", 1, 32, False, False),
    ("forward, batch 32 x 64, XLA", 32, 64, False, True),
    ("training step, batch 32 x 64, XLA", 32, 64, True, True),
    ("forward, batch 1 x 32, XLA", 1, 32, False, True),
]


def keras_hub_backbone(config: BertConfig) -> keras.Model:
    """Return keras-hub's model of the same size."""
    return keras_hub.models.BertBackbone(
        vocabulary_size=config.vocab_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        hidden_dim=config.hidden_size,
        intermediate_dim=config.intermediate_size,
        dropout=config.hidden_dropout_prob,
        max_sequence_length=config.max_position_embeddings,
        num_segments=config.type_vocab_size,
    )


def compiled_step(model: keras.Model, batch: int, tokens: int, training: bool, xla: bool) -> Callable[[], None]:
    """Return a function that runs one forward pass, or one pass with all gradients, on fixed random input."""
    generator = np.random.default_rng(0)
    ids = tf.constant(generator.integers(0, 1000, (batch, tokens)), tf.int32)
    lengths = generator.integers(tokens // 2, tokens + 1, (batch, 1))
    mask = tf.constant(np.arange(tokens) < lengths, tf.int32)
    inputs = {"token_ids": ids, "segment_ids": tf.zeros_like(ids), "padding_mask": mask}
    weights = [weight.value for weight in model.trainable_weights]
    spec = tf.TensorSpec([batch, tokens] if xla else [None, None], tf.int32)

    def forward(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model(inputs, training=False)["sequence_output"]

    def train(inputs: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = tf.reduce_sum(outputs["sequence_output"] ** 2) + tf.reduce_sum(outputs["pooled_output"])
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return [tf.reduce_sum(tf.convert_to_tensor(gradient)) for gradient in gradients]

    function = tf.function(train if training else forward, [dict.fromkeys(inputs, spec)], jit_compile=xla)

    def step() -> None:
        # Reading the results waits until they are computed.
        tf.nest.map_structure(lambda output: output.numpy(), function(inputs))

    return step


def measure(config: BertConfig, rounds: int) -> list[dict[str, object]]:
    """Return medians in milliseconds and their ratio for each case."""
    ours, theirs = BertBackbone.from_config(config), keras_hub_backbone(config)
    results = []
    for name, batch, tokens, training, xla in CASES:
        steps = [compiled_step(model, batch, tokens, training, xla) for model in (ours, theirs)]
        times: list[list[float]] = [[], []]
        for number in range(rounds + 2):
            for step, record in zip(steps, times, strict=True):
                start = time.perf_counter()
                step()
                if number >= 2:  # the first calls compile
                    record.append(1000 * (time.perf_counter() - start))
        medians = [statistics.median(record) for record in times]
        best = [min(record) for record in times]
        results.append(
            {
                "case": name,
                "kerasbert_ms": round(medians[0], 3),
                "keras_hub_ms": round(medians[1], 3),
                "ratio": round(medians[1] / medians[0], 3),
                "ratio_of_best": round(best[1] / best[0], 3),
            }
        )
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    return results


def main() -> None:
    """Read the arguments, measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="bert-mini", help="a named size (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="timed calls of each (default: %(default)s)")
    arguments = parser.parse_args()
    config = BertConfig.named(arguments.size, vocab_size=8000)
    result = {
        "benchmark": "encoder_speed",
        "size": arguments.size,
        "keras": keras.__version__,
        "keras_hub": keras_hub.__version__,
        "tensorflow": tf.__version__,
        "rounds": arguments.rounds,
        "results": measure(config, arguments.rounds),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
