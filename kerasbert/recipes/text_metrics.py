"""Statistics for a run's report: text lengths, vocabulary usage, and the attention probabilities of one text."""

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf

from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.fine_tuning_rows import Rows
from kerasbert.reports import vocabulary_statistics

# An attention map of more tokens is unreadable.
_ATTENTION_TOKENS = 24
_ROWS_AT_ONCE = 1024


def text_metrics(model: Any, to_inputs: TextToInputs, train: Rows, test: Rows) -> dict[str, Any]:
    """Returns the keys `lengths`, `vocabulary` and `attention` of a run's `evaluation.json`.

    Args:
        model: A model with a `backbone`.
        to_inputs: The model's preprocessing.
        train: Training rows, for the lengths and the vocabulary usage.
        test: Test rows, for the lengths and the text of the attention map.
    """
    ids = {name: token_ids(to_inputs, rows.texts) for name, rows in (("training", train), ("test", test))}
    vocabulary = to_inputs.vocabulary
    text = attention_text(to_inputs, test.texts)
    return {
        "lengths": {name: dict(Counter(len(row) for row in rows)) for name, rows in ids.items()},
        "vocabulary": vocabulary_statistics(vocabulary.pieces, ids["training"]),
        **({} if text is None else {"attention": attention_of(model.backbone, to_inputs, text)}),
    }


def token_ids(to_inputs: TextToInputs, texts: tuple[str, ...]) -> list[list[int]]:
    """Returns the token ids of each text, without special tokens and not truncated."""
    rows: list[list[int]] = []
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        ids = to_inputs.tokenizer.tokenize(tf.constant(texts[start : start + _ROWS_AT_ONCE]))
        rows += ids.to_list()
    return rows


def attention_text(to_inputs: TextToInputs, texts: tuple[str, ...]) -> str | None:
    """Returns the longest of the first texts that fits an attention map, or None if no text fits."""
    fitting = [
        (len(row), text)
        for row, text in zip(token_ids(to_inputs, texts[:_ROWS_AT_ONCE]), texts, strict=False)
        if 0 < len(row) <= min(_ATTENTION_TOKENS, to_inputs.sequence_length) - 2
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def attention_of(backbone: BertBackbone, to_inputs: TextToInputs, text: str) -> dict[str, Any]:
    """Returns the attention probabilities of one text.

    Returns:
        `pieces`, the text's word pieces, and `attention`, nested lists [L][N][T][T] for layers, heads and tokens.
    """
    inputs = to_inputs(tf.constant([text]))
    hidden = backbone.embeddings(inputs["token_ids"], inputs["segment_ids"])
    layers = []
    for block in backbone.encoder_blocks:
        hidden, scores = block(hidden, padding_mask=inputs["padding_mask"], return_attention_scores=True)
        layers.append(np.round(np.asarray(scores, np.float64)[0], 4).tolist())
    pieces = [to_inputs.vocabulary.pieces[index] for index in inputs["token_ids"].numpy()[0]]
    return {"pieces": pieces, "attention": layers}
