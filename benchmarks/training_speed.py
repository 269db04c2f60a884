"""Measures pretraining steps per second for several ways to run steps. Prints JSON; nothing is asserted.

    python -m benchmarks.training_speed --layers 2 --hidden-size 128 --batch-size 32 --length 64

Each way runs in a separate process, so none benefits from another's compilation. `wall_ms` is the time per step that a
user waits for; `cpu_ms` is the time of all cores together, which is more reliable on a busy machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time

WAYS = {
    # name: (Keras backend, how steps are run, XLA, op determinism)
    "fit": ("tensorflow", "fit", False, False),
    "fit_xla": ("tensorflow", "fit", True, False),
    "fit_steps_per_execution_10": ("tensorflow", "fit10", False, False),
    "train_on_batch": ("tensorflow", "train_on_batch", False, False),
    "train_step": ("tensorflow", "train_step", False, False),
    "train_step_xla": ("tensorflow", "train_step", True, False),
    "train_step_deterministic": ("tensorflow", "train_step", False, True),
    "train_step_jax": ("jax", "train_step", True, False),
}


def main() -> None:
    """Run each way in a process and print one JSON object."""
    options = parsed_options()
    if options.way:
        print(json.dumps(measured(options)))
        return
    results = {}
    for way in options.ways.split(","):
        environment = {**os.environ, "KERAS_BACKEND": WAYS[way][0], "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "benchmarks.training_speed", *sys.argv[1:], "--way", way]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        results[way] = json.loads(done.stdout.splitlines()[-1])
        print(way, results[way], file=sys.stderr)
    settings = {name: value for name, value in vars(options).items() if name not in ("way", "ways")}
    print(json.dumps({"benchmark": "training_speed", "cores": os.cpu_count(), **settings, "ways": results}, indent=1))


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (
        *(("layers", 2), ("hidden-size", 128), ("vocab-size", 8000), ("batch-size", 32), ("length", 64)),
        *(("masked", 10), ("steps", 40)),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--ways", default=",".join(WAYS), help="comma-separated")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Measure one way in this process."""
    import keras
    import tensorflow as tf

    from kerasbert.config import BertConfig
    from kerasbert.models import BertBackbone, BertPretrainer
    from kerasbert.training import adamw, compile_pretrainer

    _, kind, is_compiled, is_deterministic = WAYS[options.way]
    keras.utils.set_random_seed(1)
    if is_deterministic:
        tf.config.experimental.enable_op_determinism()
    config = BertConfig(
        vocab_size=options.vocab_size,
        hidden_size=options.hidden_size,
        num_hidden_layers=options.layers,
        num_attention_heads=max(1, options.hidden_size // 64),
        intermediate_size=4 * options.hidden_size,
        max_position_embeddings=max(128, options.length),
    )
    model = BertPretrainer(BertBackbone.from_config(config))
    compile_pretrainer(model, adamw(1e-4), jit_compile=is_compiled)
    model.steps_per_execution = 10 if kind == "fit10" else 1
    run = runner(kind, model, dataset(options))
    begin = time.perf_counter()
    run(10 if kind == "fit10" else 3)
    first = time.perf_counter() - begin
    wall, cpu = time.perf_counter(), time.process_time()
    run(options.steps)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall_ms": round(wall / options.steps * 1e3, 1),
        "cpu_ms": round(cpu / options.steps * 1e3, 1),
        "tokens_per_second": round(options.batch_size * options.length * options.steps / wall),
        "seconds_until_warm": round(first, 1),
    }


def dataset(options: argparse.Namespace):
    """Return an infinite dataset of random ids. As with real text, the graph does not know their length."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    shape, masked_shape = (options.batch_size, options.length), (options.batch_size, options.masked)
    inputs = {
        "token_ids": random.integers(5, options.vocab_size, shape, dtype=np.int32),
        "segment_ids": np.zeros(shape, np.int32),
        "padding_mask": np.ones(shape, np.int32),
        "mask_positions": random.integers(0, options.length, masked_shape, dtype=np.int32),
    }
    labels = {
        "masked_lm": random.integers(5, options.vocab_size, masked_shape, dtype=np.int32),
        "next_sentence": random.integers(0, 2, options.batch_size, dtype=np.int32),
    }
    weights = {
        "masked_lm": np.ones(masked_shape, np.float32),
        "next_sentence": np.ones(options.batch_size, np.float32),
    }
    specification = tf.nest.map_structure(
        lambda array: tf.TensorSpec([None] * array.ndim, array.dtype), (inputs, labels, weights)
    )

    def endless():
        while True:
            yield inputs, labels, weights

    return tf.data.Dataset.from_generator(endless, output_signature=specification).prefetch(2)


def runner(kind: str, model, batches):
    """Return a function that trains for a number of steps."""
    if kind in ("fit", "fit10"):
        return lambda steps: model.fit(batches, steps_per_epoch=steps, verbose=0)
    if kind == "train_on_batch":
        iterator = iter(batches)
        return lambda steps: [model.train_on_batch(*next(iterator)) for _ in range(steps)]
    from kerasbert.training.run.train_step import TrainStep, build_metrics

    step = TrainStep(model)
    iterator = step.batches(batches)
    build_metrics(model, next(iterator))
    return lambda steps: [step(next(iterator)) for _ in range(steps)]


if __name__ == "__main__":
    main()
