"""Sentence embeddings from a model folder of any layout: one vector per text, in the order of the texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerasbert import checkpoints
from kerasbert.data import labelled_dataset
from kerasbert.errors import BadInputError
from kerasbert.models import BertSentenceEncoder
from kerasbert.models.backbone_task import backbone_of
from kerasbert.models.inference import compiled_forward
from kerasbert.models.precision_choice import Chosen, choose_precision
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.length_order import order_by_length, windows

# N texts, E size of a vector


@dataclass(frozen=True)
class SentenceEncoder:
    """A sentence encoder with its preprocessing.

    Attributes:
        model: the model.
        text_to_inputs: its preprocessing.
        chosen: its precision, if one was chosen.
    """

    model: BertSentenceEncoder
    text_to_inputs: TextToInputs
    chosen: Chosen | None = None

    @property
    def size(self) -> int:
        """E, the size of a vector."""
        return self.model.embedding_size


def load_sentence_encoder(
    path: str | Path,
    pooling: str | Sequence[str] | None = None,
    normalize: bool | None = None,
    precision: str | None = None,
    sample_texts: Sequence[str] = (),
) -> SentenceEncoder:
    """Read a model folder of any layout that `checkpoints.load` can read.

    Args:
        path: the folder.
        pooling: see `BertSentenceEncoder`. Defaults to the pooling of a sentence-transformers folder, and to "mean" in
            other layouts. The folder's projections are kept.
        normalize: whether to scale vectors to length 1. Defaults to the setting of a sentence-transformers folder, and
            to False in other layouts. Both defaults are those of sentence-transformers for a bare encoder.
        precision: see `choose_precision`. By default, as Keras's dtype policy says.
        sample_texts: texts to choose it with.

    Raises:
        BadInputError: the folder contains no checkpoint, its vocabulary is missing, the pooled vectors do not have the
            size that the projections expect, or the precision changes the vectors too much.
    """
    loaded = checkpoints.load(path, heads=False)
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model folder must contain its vocabulary. Received: '{path}' without one. Copy its vocab.txt there."
        )
    model = loaded.model
    if not isinstance(model, BertSentenceEncoder):
        model = BertSentenceEncoder(backbone_of(model), pooling or "mean", bool(normalize))
    elif (pooling, normalize) != (None, None):
        model = _changed(model, pooling, normalize)
    if precision is None:
        return SentenceEncoder(model, loaded.text_to_inputs)
    chosen = choose_precision(model, precision, loaded.text_to_inputs, sample_texts)
    return SentenceEncoder(chosen.reduced.model, loaded.text_to_inputs, chosen)


def _changed(
    model: BertSentenceEncoder, pooling: str | Sequence[str] | None, normalize: bool | None
) -> BertSentenceEncoder:
    """Return the encoder with the same weights, but another pooling or normalization."""
    pooling = model.pooling if pooling is None else pooling
    normalize = model.normalize if normalize is None else normalize
    changed = BertSentenceEncoder(
        **{**model.get_config(), "backbone": model.backbone, "pooling": pooling, "normalize": normalize}
    )
    for ours, theirs in zip(changed.projection_layers, model.projection_layers, strict=True):
        wanted, given = theirs.kernel.shape[0], ours.kernel.shape[0]
        if wanted != given:
            raise BadInputError(
                f"`pooling` must return vectors of the size that the model's projection expects, {wanted}. Received: "
                f"pooling={pooling!r}, with the size {given}. Use the model's own pooling, {model.pooling!r}."
            )
        ours.set_weights(theirs.get_weights())
    return changed


def embed(encoder: SentenceEncoder, texts: Sequence[str], batch_size: int = 32) -> Iterator[np.ndarray]:
    """Yield the vectors of the texts in their order, a block of rows at a time.

    Args:
        encoder: the result of `load_sentence_encoder`.
        texts: N texts.
        batch_size: number of texts in a batch.

    Yields:
        float32 `[rows, E]`.
    """
    forward = compiled_forward(encoder.model)
    order = order_by_length(texts, batch_size)
    batches = iter(labelled_dataset([texts[row] for row in order], None, encoder.text_to_inputs, batch_size))
    for rows in windows(order, batch_size):
        first = min(rows)
        vectors = np.empty((len(rows), encoder.size), np.float32)
        for start in range(0, len(rows), batch_size):
            places = np.array(rows[start : start + batch_size]) - first
            vectors[places] = keras.ops.convert_to_numpy(forward(next(batches)))
        yield vectors
