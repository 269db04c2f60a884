"""Fills `[MASK]` in texts with a masked language model, with the same pieces as an exported model.

For the exported model, see export/served/pretrainer.py.

Shapes: `B` batch, `T` tokens of the longest text, `P` masks of the text with the most masks, `K` candidates, `V` pieces
in the vocabulary.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasbert import checkpoints
from kerasbert.argument_checks import check_positive_integer
from kerasbert.errors import BadInputError
from kerasbert.export.graph.text_inputs import MASK, text_inputs_of
from kerasbert.models import BertPretrainer
from kerasbert.models.inference import compiled_forward
from kerasbert.models.precision_choice import Chosen, choose_precision
from kerasbert.preprocessing import TextToInputs
from kerasbert.preprocessing.vocabulary import SUFFIX_MARK
from kerasbert.recipes.length_order import answers_in_order, order_by_length
from kerasbert.recipes.token_classification import log_softmax


@dataclass(frozen=True)
class MaskedLanguageModel:
    """A masked language model with its preprocessing.

    Attributes:
        model: the model.
        text_to_inputs: its preprocessing.
        chosen: its precision, if one was chosen.
    """

    model: BertPretrainer
    text_to_inputs: TextToInputs
    chosen: Chosen | None = None


def load_masked_language_model(
    path: str | Path, precision: str | None = None, sample_texts: Sequence[str] = ()
) -> MaskedLanguageModel:
    """Read a model folder of any layout that `checkpoints.load` can read.

    Args:
        path: the folder, e.g. that of a pretrained model or of Hugging Face's `BertForMaskedLM`.
        precision: see `choose_precision`. By default, as Keras's dtype policy says.
        sample_texts: texts to choose it with.

    Raises:
        BadInputError: the folder contains no checkpoint, the model has no masked-LM head, its vocabulary is missing, or
            the precision changes the answers too much.
    """
    loaded = checkpoints.load(path)
    model = loaded.model
    # The weights of a head that its checkpoint does not have are zeros.
    if not isinstance(model, BertPretrainer) or not np.any(
        keras.ops.convert_to_numpy(model.masked_lm_head.transform_dense.kernel)
    ):
        kind = f"a {type(model).__name__}" + (" with next-sentence weights only" * isinstance(model, BertPretrainer))
        raise BadInputError(
            f"The model must have a masked-LM head. Received: '{path}', {kind}. Use a model that was pretrained, e.g. "
            f"the one that this writes: kerasbert pretrain corpus.txt --from {shlex.quote(str(path))} --output run"
        )
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model folder must contain its vocabulary. Received: '{path}' without one. Copy its vocab.txt there."
        )
    if precision is None:
        return MaskedLanguageModel(model, loaded.text_to_inputs)
    chosen = choose_precision(model, precision, loaded.text_to_inputs, sample_texts)
    return MaskedLanguageModel(chosen.reduced.model, loaded.text_to_inputs, chosen)


def fill(
    language_model: MaskedLanguageModel,
    texts: Sequence[str],
    top_n: int = 5,
    batch_size: int = 32,
    places: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Find the pieces of the vocabulary that fit best where texts say `[MASK]`.

    Each mask is filled without regard to what the others are filled with, as in pretraining.

    Args:
        language_model: the result of `load_masked_language_model`.
        texts: N texts, each with at least one `[MASK]`.
        top_n: number of pieces for each mask. If the vocabulary is smaller, all of it.
        batch_size: number of texts in a batch.
        places: the position of each text, for messages. By default, "text 1" and so on.

    Returns:
        An iterator over the answers, in the order of the texts: dicts with the `text`; `filled`, the text with the best
        pieces; and `candidates`, for each `[MASK]` in order, the best pieces, each a dict with the `piece` and its
        `probability`.

    Raises:
        BadInputError: a text has no `[MASK]`, or is longer than the model reads. All texts are checked before the first
            answer.

    Example:
        >>> model = load_masked_language_model("runs/pretrain/model")  # doctest: +SKIP
        >>> next(fill(model, ["the [MASK] is here"], top_n=1))  # doctest: +SKIP
        {'text': 'the [MASK] is here', 'filled': 'the cat is here', 'candidates': [[{'piece': 'cat', ...}]]}
    """
    check_positive_integer("top_n", top_n)
    _check_texts(language_model.text_to_inputs, texts, places or [f"text {row + 1}" for row in range(len(texts))])
    order = order_by_length(texts, batch_size)
    return answers_in_order(
        order, batch_size, lambda rows: _filled_batch(language_model, [texts[row] for row in rows], top_n)
    )


def _check_texts(to_inputs: TextToInputs, texts: Sequence[str], places: Sequence[str]) -> None:
    """Refuse texts without a mask, and those that the model does not read to the end."""
    for text, place in zip(texts, places, strict=True):
        if MASK not in text:
            raise BadInputError(
                f"A text must contain {MASK} where a word is to be filled in. Received: {_shown(text)} ({place}). "
                f"For example, 'the {MASK} is here'."
            )
    text_inputs = text_inputs_of(to_inputs, keep_masks=True)
    limit = to_inputs.sequence_length
    for text, place in zip(texts, places, strict=True):
        count = int(text_inputs.counts(text_inputs.ids(tf.constant([text])))["token_count"][0])
        if count > limit:
            raise BadInputError(
                f"A text must have at most {limit} tokens, which is what the model reads. "
                f"Received: {count} tokens, {_shown(text)} ({place}). Use a shorter text around the {MASK}."
            )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _filled_batch(language_model: MaskedLanguageModel, texts: Sequence[str], top_n: int) -> list[dict[str, Any]]:
    """Return the answers for the texts of one batch."""
    text_inputs = text_inputs_of(language_model.text_to_inputs, keep_masks=True)
    vocabulary = text_inputs.vocabulary
    inputs, _ = text_inputs.of_texts(tf.constant(list(texts)))
    is_mask = inputs["token_ids"].numpy() == vocabulary.mask_id  # [B, T]
    counts = is_mask.sum(axis=1)
    # Stable sorting puts the positions of the masks first, in their order.
    positions = np.argsort(~is_mask, axis=1, kind="stable")[:, : counts.max()].astype(np.int32)  # [B, P]
    outputs = compiled_forward(language_model.model)({**inputs, "mask_positions": positions})
    logits = keras.ops.convert_to_numpy(keras.ops.cast(outputs["masked_lm"], "float32"))
    # A published model may have more rows than pieces. See `ServedPretrainer`.
    probabilities = np.exp(log_softmax(logits[:, :, : len(vocabulary)].astype(np.float64)))
    best = np.argsort(-probabilities, axis=-1, kind="stable")[:, :, :top_n]  # [B, P, K]
    answers = []
    for row, text in enumerate(texts):
        candidates = [
            [
                {"piece": vocabulary.pieces[piece], "probability": float(probabilities[row, mask, piece])}
                for piece in best[row, mask]
            ]
            for mask in range(counts[row])
        ]
        filled = _filled_text(text, [str(pieces[0]["piece"]) for pieces in candidates])
        answers.append({"text": text, "filled": filled, "candidates": candidates})
    return answers


def _filled_text(text: str, pieces: Sequence[str]) -> str:
    """Return the text with pieces in place of its masks. A piece that continues a word is joined to what is before it.

    Example:
        >>> _filled_text("play [MASK] the [MASK]", ["##ing", "game"])
        'playing the game'
    """
    filled, *others = text.split(MASK)
    for piece, after in zip(pieces, others, strict=True):
        continues = piece.startswith(SUFFIX_MARK)
        filled = f"{filled.rstrip() if continues else filled}{piece.removeprefix(SUFFIX_MARK)}{after}"
    return filled
