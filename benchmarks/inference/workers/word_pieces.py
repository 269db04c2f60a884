"""Hugging Face's `tokenizers` for libraries that run a model on token ids."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer


class WordPieces:
    """Turns texts into padded ids.

    Args:
        folder: a model folder with `tokenizer.json`, which neither pads nor truncates; see `models.py`.
        longest: the maximum number of tokens of a text.
    """

    def __init__(self, folder: str, longest: int = 256):
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._tokenizer.enable_truncation(longest)
        self._tokenizer.enable_padding()  # to the longest text of a batch

    def __call__(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Return the inputs of a model in Hugging Face's names, each int64 `[B, T]`."""
        encodings = self._tokenizer.encode_batch(texts)
        return inputs_of_ids([row.ids for row in encodings], [row.attention_mask for row in encodings])


def inputs_of_ids(ids: list[list[int]], mask: list[list[int]] | None = None) -> dict[str, np.ndarray]:
    """Return the inputs of a model for rows of ids of the same length. By default, all tokens are real."""
    array = np.array(ids, np.int64)
    return {
        "input_ids": array,
        "attention_mask": np.ones_like(array) if mask is None else np.array(mask, np.int64),
        "token_type_ids": np.zeros_like(array),
    }
