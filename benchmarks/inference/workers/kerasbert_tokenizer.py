"""kerasbert's tokenizer, and the one of tensorflow-text that it is built on."""

import itertools
from pathlib import Path

import tensorflow as tf
import tensorflow_text as tf_text

from benchmarks.inference.workers import worker_loop
from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer


class Tokenizer(worker_loop.Worker):
    """A compiled tokenizer, without special tokens.

    Args:
        path: a folder with `vocab.txt`.
        kind: "exact" for kerasbert's default, which splits as google-research/bert does, or "tensorflow-text" for
            `FastBertTokenizer`.
    """

    packages = ("tensorflow", "tensorflow-text")

    def __init__(self, path: str, kind: str = "exact"):
        vocabulary = Vocabulary.from_file(Path(path) / "vocab.txt")
        if kind == "exact":
            tokenizer = WordPieceTokenizer(vocabulary)
        else:
            tokenizer = tf_text.FastBertTokenizer(
                list(vocabulary.pieces), token_out_type=tf.int32, lower_case_nfd_strip_accents=True
            )
        self._tokenize = tf.function(tokenizer.tokenize, [tf.TensorSpec([None], tf.string)], autograph=False)

    def tokenize(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that splits the texts in batches, into arrays."""
        batches = worker_loop.split(texts, batch_size)
        first = True

        def run() -> list[list[int]] | None:
            nonlocal first
            arrays = [self._tokenize(tf.constant(batch)) for batch in batches]
            ids = [(ragged.values.numpy(), ragged.row_splits.numpy()) for ragged in arrays]
            if not first:
                return None
            first = False  # only the first result is compared; making lists of it would take longer than the rest
            return [values[start:end].tolist() for values, splits in ids for start, end in itertools.pairwise(splits)]

        return run


if __name__ == "__main__":
    worker_loop.main(Tokenizer)
