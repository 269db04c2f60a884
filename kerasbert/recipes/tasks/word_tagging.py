"""Finds the entities of texts with a token classifier, as an exported model does.

A word, i.e. a piece and the `##` pieces after it, has the label of its first piece. For training and evaluation, see
../token_classification.py. For the exported model, see export/served/token_classifier.py.

Shapes: `B` texts, `T` tokens, `C` labels.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasbert.models.inference import compiled_forward
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.tasks.tag_decoding import TagScheme
from kerasbert.recipes.token_classification import log_softmax
from kerasbert.training.entity_metrics import spans


def find_entities(
    model: keras.Model,
    to_inputs: TextToInputs,
    labels: Sequence[str],
    texts: Sequence[str],
    constrain_tags: bool = False,
) -> list[dict[str, Any]]:
    """Return the entities of a batch of texts.

    Args:
        model: a token classifier.
        to_inputs: its preprocessing.
        labels: its labels.
        texts: B texts.
        constrain_tags: whether to answer with the best sequence that the tagging scheme allows. See `TagScheme`.

    Returns:
        For each text, `entities`, each with `text`, `label`, `probability` (the mean over its words) and the characters
        of the text where it starts and ends; and `truncated_token_count`, the number of tokens that were not read.
    """
    tokenizer, room = to_inputs.tokenizer, to_inputs.sequence_length - 2
    ids, starts, ends = tokenizer.tokenize_with_offsets(tf.constant(list(texts), tf.string))
    ids = tf.cast(ids, tf.int32).with_row_splits_dtype(tf.int64)
    logits = compiled_forward(model)(to_inputs.pack(ids[:, :room]))
    scores = log_softmax(np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(logits, "float32")), np.float64))
    scheme = TagScheme(labels) if constrain_tags else None
    found = []
    for row, text in enumerate(texts):
        pieces, begins, stops = (np.array(part[row].numpy()[:room], np.int64) for part in (ids, starts, ends))
        is_first = ~tokenizer.vocabulary.continues_word[pieces]
        is_first[:1] = True
        firsts = np.flatnonzero(is_first)
        of_words = scores[row, firsts + 1]  # [words, C], after [CLS]
        best = of_words.argmax(axis=-1) if scheme is None else scheme.best_path(of_words)
        word_ends = np.maximum.reduceat(stops, firsts) if len(firsts) else stops
        probabilities = np.exp(of_words[np.arange(len(firsts)), best])
        encoded = text.encode()
        entities = []
        for first, after, kind in spans([labels[label] for label in best]):
            start, end = (len(encoded[:byte].decode()) for byte in (begins[firsts[first]], word_ends[after - 1]))
            probability = float(probabilities[first:after].mean())
            entity = {"text": text[start:end], "label": kind, "probability": probability, "start": start, "end": end}
            entities.append(entity)
        truncated = max(0, int(ids[row].shape[0]) - room)
        found.append({"entities": entities, "truncated_token_count": truncated})
    return found
