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

# N texts, E numbers of a vector

# Batches whose texts are sorted by length before they are cut into batches, which saves padding.
_LENGTH_WINDOW = 64


@dataclass(frozen=True)
class SentenceEncoder:
    """A model with what it needs to make vectors of texts."""

    model: BertSentenceEncoder
    text_to_inputs: TextToInputs

    @property
    def size(self) -> int:
        """E: the numbers of a vector."""
        return self.model.embedding_size


def load_sentence_encoder(
    path: str | Path, pooling: str | Sequence[str] | None = None, normalize: bool | None = None
) -> SentenceEncoder:
    """Reads a model folder of any layout that `checkpoints.load` knows.

    Args:
        path: the folder.
        pooling: see `BertSentenceEncoder`. None is what a sentence-transformers folder says, and "mean" elsewhere. The
            folder's projections stay.
        normalize: whether vectors get length 1. None is what a sentence-transformers folder says, and False elsewhere.
            Both defaults are sentence-transformers' own for a bare encoder.

    Raises:
        BadInputError: the folder holds no checkpoint, its vocabulary is missing, or the pooling does not give as many
            numbers as the projections take.
    """
    loaded = checkpoints.load(path)
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model must have its vocabulary beside it. Received: '{path}' without one. Copy its vocab.txt there."
        )
    model = loaded.model
    if not isinstance(model, BertSentenceEncoder):
        model = BertSentenceEncoder(getattr(model, "backbone", model), pooling or "mean", bool(normalize))
    elif (pooling, normalize) != (None, None):
        model = _changed(model, pooling, normalize)
    return SentenceEncoder(model, loaded.text_to_inputs)


def _changed(
    model: BertSentenceEncoder, pooling: str | Sequence[str] | None, normalize: bool | None
) -> BertSentenceEncoder:
    """The encoder with the same weights, but another pooling or normalization."""
    pooling = model.pooling if pooling is None else pooling
    normalize = model.normalize if normalize is None else normalize
    changed = BertSentenceEncoder(model.backbone, pooling, normalize, model.projections)
    for ours, theirs in zip(changed.projection_layers, model.projection_layers, strict=True):
        wanted, given = theirs.kernel.shape[0], ours.kernel.shape[0]
        if wanted != given:
            raise BadInputError(
                f"`pooling` must give the {wanted} numbers that the model's projection takes. Received: "
                f"pooling={pooling!r}, which gives {given}. The model's own is {model.pooling!r}."
            )
        ours.set_weights(theirs.get_weights())
    return changed


def embed(encoder: SentenceEncoder, texts: Sequence[str], batch_size: int = 32) -> Iterator[np.ndarray]:
    """Gives the vectors in the order of the texts, some rows at a time: float32 [rows, E]."""
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
