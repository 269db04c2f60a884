"""Measures only the data side of pretraining: reading, pairing and writing, and batches per second.

    python -m benchmarks.pretraining_data [--megabytes 8]

The text is Python's own documentation, repeated. Prints one JSON object. Nothing is asserted.
"""

import argparse
import itertools
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasbert.data import (
    WrittenPairs,
    pretraining_dataset,
    read_documents,
    segment_pairs,
    write_pairs,
    write_python_documentation,
)
from kerasbert.preprocessing import MaskedLMMasker, SegmentPacker, Vocabulary, WordPieceTokenizer, learn_vocabulary


def main() -> None:
    """Runs all measurements on a corpus of the requested size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--sequence-length", type=int, default=128)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        metrics = measure(Path(folder), arguments)
    print(json.dumps(metrics, indent=2))


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Times each part. Megabytes are 10^6 bytes of text."""
    source = write_python_documentation(folder).texts["train"].read_text(encoding="utf-8")
    repeats = max(1, round(arguments.megabytes * 1e6 / len(source.encode())))
    text = folder / "text.txt"
    text.write_text("\n".join([source] * repeats), encoding="utf-8")
    megabytes = text.stat().st_size / 1e6
    vocabulary = learn_vocabulary(source.splitlines(), 8000)
    tokenizer = WordPieceTokenizer(vocabulary)
    metrics = {"megabytes": megabytes}

    lines, seconds, cpu_seconds = timed(lambda: sum(map(len, read_documents(text))))
    metrics |= {"lines": lines, **rates("read_megabytes", megabytes, seconds, cpu_seconds)}

    def write(dupe_factor: int) -> WrittenPairs:
        documents = read_documents(text)
        max_tokens = arguments.sequence_length - 3
        pairs = segment_pairs(documents, tokenizer.tokenize, max_tokens=max_tokens, seed=1, dupe_factor=dupe_factor)
        return write_pairs(pairs, folder / "pairs")

    for dupe_factor in (1, 5):
        written, seconds, cpu_seconds = timed(lambda factor=dupe_factor: write(factor))
        metrics |= rates(f"make_megabytes_dupe_{dupe_factor}", megabytes, seconds, cpu_seconds)
        metrics |= rates(f"make_pairs_dupe_{dupe_factor}", written.pairs, seconds, cpu_seconds)
    metrics |= batch_metrics(folder / "pairs", vocabulary, arguments)
    metrics["peak_memory_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return metrics


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Returns the result of some work, its wall-clock seconds, and the seconds of all cores."""
    start, cpu_start = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - start, time.process_time() - cpu_start


def rates(name: str, amount: float, seconds: float, cpu_seconds: float) -> dict[str, float]:
    """Returns the amount per second, and per second of one core, which hardly changes on a busy machine."""
    return {f"{name}_per_second": amount / seconds, f"{name}_per_core_second": amount / cpu_seconds}


def batch_metrics(pairs: Path, vocabulary: Vocabulary, arguments: argparse.Namespace) -> dict[str, float]:
    """Batches per second without a model, in random order and by length, and the time of a start at a late batch."""
    pack = SegmentPacker(vocabulary, arguments.sequence_length)
    mask = MaskedLMMasker(vocabulary)
    metrics = {}
    for length_window in (1, 16):
        settings = {"batch_size": arguments.batch_size, "seed": 1, "length_window": length_window}
        batches = iter(pretraining_dataset(pairs, pack, mask, **settings))
        next(batches)
        widths, seconds, cpu_seconds = timed(
            lambda rest=batches: [x["token_ids"].shape[1] for x, _, _ in itertools.islice(rest, arguments.batches)]
        )
        metrics |= rates(f"batches_window_{length_window}", arguments.batches, seconds, cpu_seconds)
        metrics[f"mean_padded_length_window_{length_window}"] = sum(widths) / arguments.batches
        _, seconds, _ = timed(
            lambda given=settings: next(iter(pretraining_dataset(pairs, pack, mask, start_batch=100_003, **given)))
        )
        metrics[f"seconds_to_batch_100003_window_{length_window}"] = seconds
    return metrics


if __name__ == "__main__":
    main()
