"""Hugging Face's `tokenizers`."""

from pathlib import Path

import tokenizers

from benchmarks.inference.workers import worker_loop


class Tokenizer(worker_loop.Worker):
    """A tokenizer, without special tokens. It splits a batch in one thread per core.

    Args:
        path: a folder with `tokenizer.json`.
    """

    packages = ("tokenizers",)

    def __init__(self, path: str):
        self._tokenizer = tokenizers.Tokenizer.from_file(str(Path(path) / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def tokenize(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that splits the texts in batches, into lists."""
        batches = worker_loop.split(texts, batch_size)
        # Without offsets, which nobody asks for here.
        split = self._tokenizer.encode_batch_fast
        return lambda: [row.ids for batch in batches for row in split(batch, add_special_tokens=False)]


if __name__ == "__main__":
    worker_loop.main(Tokenizer)
