"""Measures the data side of pretraining alone: reading, pairing and writing, and the batches per second.

    python -m benchmarks.pretraining_data [--megabytes 8]

The text is Python's own documentation, over and over. Prints one JSON object; to be compared, never asserted.
"""

import argparse
import itertools
import json
import resource
import tempfile
import time
from pathlib import Path

from kerasbert.data import pretraining_dataset, read_documents, segment_pairs, write_pairs, write_python_documentation
from kerasbert.preprocessing import MaskedLMMasker, SegmentPacker, Vocabulary, WordPieceTokenizer, learn_vocabulary


def main() -> None:
    """Runs all measurements on a corpus of the size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--sequence-length", type=int, default=128)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments)
    print(json.dumps(figures, indent=2))


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Times each part. MB are 10^6 bytes of text."""
    source = write_python_documentation(folder).texts["train"].read_text(encoding="utf-8")
    repeats = max(1, round(arguments.megabytes * 1e6 / len(source.encode())))
    text = folder / "text.txt"
    text.write_text("\n".join([source] * repeats), encoding="utf-8")
    megabytes = text.stat().st_size / 1e6
    vocabulary = learn_vocabulary(source.splitlines(), 8000)
    tokenizer = WordPieceTokenizer(vocabulary)
    figures = {"megabytes": megabytes}

    start = time.perf_counter()
    lines = sum(map(len, read_documents(text)))
    figures["read_megabytes_per_second"] = megabytes / (time.perf_counter() - start)
    figures["lines"] = lines

    def pairs(dupe_factor: int):
        max_tokens = arguments.sequence_length - 3
        return segment_pairs(
            read_documents(text), tokenizer.tokenize, max_tokens=max_tokens, seed=1, dupe_factor=dupe_factor
        )

    for dupe_factor in (1, 5):
        start = time.perf_counter()
        written = write_pairs(pairs(dupe_factor), folder / "pairs")
        seconds = time.perf_counter() - start
        figures[f"make_and_write_megabytes_per_second_dupe_{dupe_factor}"] = megabytes / seconds
        figures[f"pairs_per_second_dupe_{dupe_factor}"] = written.pairs / seconds
    figures |= batch_figures(folder / "pairs", vocabulary, arguments)
    figures["peak_memory_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return figures


def batch_figures(pairs: Path, vocabulary: Vocabulary, arguments: argparse.Namespace) -> dict[str, float]:
    """Batches per second without a model, as they come and by length, and how long a late start takes."""
    pack = SegmentPacker(vocabulary, arguments.sequence_length)
    mask = MaskedLMMasker(vocabulary)
    figures = {}
    for length_window in (1, 16):
        settings = {"batch_size": arguments.batch_size, "seed": 1, "length_window": length_window}
        batches = iter(pretraining_dataset(pairs, pack, mask, **settings))
        next(batches)
        start = time.perf_counter()
        columns = sum(x["token_ids"].shape[1] for x, _, _ in itertools.islice(batches, arguments.batches))
        seconds = time.perf_counter() - start
        figures[f"batches_per_second_window_{length_window}"] = arguments.batches / seconds
        figures[f"mean_padded_length_window_{length_window}"] = columns / arguments.batches
        start = time.perf_counter()
        next(iter(pretraining_dataset(pairs, pack, mask, start_batch=100_003, **settings)))
        figures[f"seconds_to_batch_100003_window_{length_window}"] = time.perf_counter() - start
    return figures


if __name__ == "__main__":
    main()
