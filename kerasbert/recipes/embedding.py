"""Sentence embeddings from a model folder of any layout: one vector a text, in the order of the texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerasbert import checkpoints
from kerasbert.errors import BadInputError
from kerasbert.models import BertSentenceEncoder
from kerasbert.preprocessing import TextToInputs

# N texts, H hidden size

# Batches whose texts are sorted by length before they are cut into batches, which saves padding.
_LENGTH_WINDOW = 64


@dataclass(frozen=True)
class SentenceEncoder:
    """A model with what it needs to make vectors of texts."""

    model: BertSentenceEncoder
    text_to_inputs: TextToInputs

    @property
    def size(self) -> int:
        """H: the numbers of a vector."""
        return int(self.model.backbone.hidden_size)


def load_sentence_encoder(
    path: str | Path, pooling: str | None = None, normalize: bool | None = None
) -> SentenceEncoder:
    """Reads a model folder of any layout that `checkpoints.load` knows.

    Args:
        path: the folder.
        pooling: "mean", "cls" or "max". None is what a sentence-transformers folder says, and "mean" elsewhere.
        normalize: whether vectors get length 1. None is what a sentence-transformers folder says, and False elsewhere.
            Both defaults are sentence-transformers' own for a bare encoder.

    Raises:
        BadInputError: the folder holds no checkpoint, or its vocabulary is missing.
    """
    loaded = checkpoints.load(path)
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model must have its vocabulary beside it. Received: '{path}' without one. Copy its vocab.txt there."
        )
    model = loaded.model
    has_own = isinstance(model, BertSentenceEncoder)
    own = (model.pooling, model.normalize) if has_own else ("mean", False)
    wanted = (own[0] if pooling is None else pooling, own[1] if normalize is None else normalize)
    if not has_own or wanted != own:
        model = BertSentenceEncoder(getattr(model, "backbone", model), *wanted)
    return SentenceEncoder(model, loaded.text_to_inputs)


def embed(encoder: SentenceEncoder, texts: Sequence[str], batch_size: int = 32) -> Iterator[np.ndarray]:
    """Gives the vectors in the order of the texts, some rows at a time: float32 [rows, H]."""
    window = batch_size * _LENGTH_WINDOW
    for first in range(0, len(texts), window):
        rows = texts[first : first + window]
        by_length = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        vectors = np.empty((len(rows), encoder.size), np.float32)
        for start in range(0, len(rows), batch_size):
            chosen = by_length[start : start + batch_size]
            inputs = encoder.text_to_inputs([rows[row] for row in chosen])
            vectors[chosen] = keras.ops.convert_to_numpy(encoder.model(inputs, training=False))
        yield vectors
