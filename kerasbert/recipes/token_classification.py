"""Fine-tuning with a label for each word: how words' tags become labels of pieces, and answers entities.

A word of one piece has its tag. Pieces inside a word that look like words of their own to the tokenizer (such as those
of "U.S.") share it as words of an entity would, since a served model cannot know where the user's words end: "S-place"
becomes "B-place", "I-place" and "E-place". `##` pieces count for nothing. What a tag says: see export/tag_scheme.py.

Shapes: `R` rows, `T` tokens, `C` labels.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasbert.data import Labels, labelled_dataset
from kerasbert.data.tables.tag_scheme import BEGINS, FINISHES, INSIDE, parsed_tag
from kerasbert.data.tables.tagged import OUTSIDE, TaggedTexts
from kerasbert.preprocessing import TextToInputs

# Of a piece that counts for nothing.
_IGNORED = -1
# What `evaluate_tokens` measures, counts aside.
TOKEN_METRICS = ("loss", "accuracy", "entity_precision", "entity_recall", "entity_f1")
# What stands at the end of several words, where the prefix stands on one that is the whole entity, or its end.
_LAST = {"S": "E", "E": "E", "U": "L", "L": "L"}

Span = tuple[int, int, str]


def piece_labels(rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs) -> np.ndarray:
    """The label of each piece, int32 [R, T] for the longest input, -1 where none counts.

    Raises:
        BadInputError: a tag is unseen in training.
    """
    targets = rows.targets(labels)
    shares = [_shared(label, labels) for label in range(len(labels))]
    tokenizer, room = to_inputs.tokenizer, to_inputs.sequence_length - 2
    ids, starts, _ = tokenizer.tokenize_with_offsets(tf.constant(rows.texts))
    continues = np.array([piece.startswith("##") for piece in tokenizer.vocabulary.pieces])
    result = np.full((len(rows), to_inputs.sequence_length), _IGNORED, np.int32)
    for row, (pieces, begins) in enumerate(zip(ids.to_list(), starts.to_list(), strict=True)):
        words = np.searchsorted(_word_begins(rows.words[row]), begins[:room], side="right") - 1
        counts = ~continues[pieces[:room]] | (np.diff(words, prepend=-1) > 0)
        for word, group in itertools.groupby(np.flatnonzero(counts), key=words.__getitem__):
            positions = np.array([*group]) + 1  # behind [CLS]
            label = targets[row][word]
            if len(positions) == 1:
                result[row, positions] = label
            else:
                first, inside, last = shares[label]
                result[row, positions] = [first, *[inside] * (len(positions) - 2), last]
    return result


def tagged_dataset(
    rows: TaggedTexts, targets: np.ndarray, to_inputs: TextToInputs, batch_size: int, **options: Any
) -> tf.data.Dataset:
    """Batches (inputs, labels [B, T], weights [B, T]). See `labelled_dataset` for the options."""

    def cut(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> Any:
        labels = labels[:, : tf.shape(inputs["token_ids"])[1]]
        return inputs, tf.maximum(labels, 0), tf.cast(labels >= 0, tf.float32)

    return labelled_dataset(rows.texts, targets, to_inputs, batch_size, **options).map(cut)


def evaluate_tokens(
    model: keras.Model, rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs, batch_size: int
) -> dict[str, Any]:
    """Metrics over all rows, by the words whose first piece the model sees.

    Returns:
        `loss` and `accuracy` over labelled pieces, `entity_precision`, `entity_recall` and `entity_f1` over entities
        whose kind and borders are right, `rows` and `entities` (counts).
    """
    targets = piece_labels(rows, labels, to_inputs)
    losses, answers, done = [], [], 0
    forward = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    for inputs, _, _ in tagged_dataset(rows, targets, to_inputs, batch_size):
        logits = np.asarray(ops.convert_to_numpy(forward(inputs)), np.float64)
        wanted = targets[done : done + len(logits), : logits.shape[1]]
        counts = wanted != _IGNORED
        losses.append(_cross_entropy(logits[counts], wanted[counts]))
        answers.append(logits.argmax(axis=-1)[counts])
        done += len(logits)
    true = targets[targets != _IGNORED]
    loss, answer = np.concatenate(losses), np.concatenate(answers)
    guessed = np.full_like(targets, _IGNORED)
    guessed[targets != _IGNORED] = answer
    true_spans, found_spans = (_spans_of_rows(table, labels) for table in (targets, guessed))
    hits = len(true_spans & found_spans)
    return {
        "loss": float(loss.mean()),
        "accuracy": float((answer == true).mean()),
        "entity_precision": hits / len(found_spans) if found_spans else 0.0,
        "entity_recall": hits / len(true_spans) if true_spans else 0.0,
        "entity_f1": 2 * hits / (len(found_spans) + len(true_spans)) if true_spans or found_spans else 0.0,
        "rows": len(rows),
        "entities": len(true_spans),
    }


def spans(tags: list[str]) -> list[Span]:
    """The entities of a sequence of tags: first word, word behind the last, kind.

    Neighbours of the same kind are one entity, unless a prefix says that it begins or has ended, as in an exported
    model's answer (see kerasbert/data/tables/tag_scheme.py).

    Example:
        >>> spans(["O", "B-place", "I-place", "B-place", "I-person"])
        [(1, 3, 'place'), (3, 4, 'place'), (4, 5, 'person')]
    """
    found: list[Span] = []
    before = ("", OUTSIDE)
    for position, tag in enumerate(tags):
        prefix, kind = parsed_tag(tag)
        if kind == before[1] != OUTSIDE and prefix not in BEGINS and before[0] not in FINISHES:
            found[-1] = (found[-1][0], position + 1, kind)
        elif kind != OUTSIDE:
            found.append((position, position + 1, kind))
        before = (prefix, kind)
    return found


def _word_begins(words: tuple[str, ...]) -> np.ndarray:
    """The byte at which each word begins in the words' text."""
    sizes = [len(word.encode()) + 1 for word in words]
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def _shared(label: int, labels: Labels) -> tuple[int, int, int]:
    """The labels of the first, the inner and the last of several pieces that share a word's label.

    Where training has no such label they have the word's own.
    """
    prefix, kind = parsed_tag(labels.names[label])
    if not prefix:
        return label, label, label
    inner = _known([f"{INSIDE}-{kind}"], labels, label)
    first = _known([f"B-{kind}"], labels, label) if prefix in BEGINS else inner
    return first, inner, _known([f"{_LAST.get(prefix, INSIDE)}-{kind}", f"{INSIDE}-{kind}"], labels, label)


def _known(names: Sequence[str], labels: Labels, otherwise: int) -> int:
    """The label of the first of some names that training has."""
    return next((labels.id_of(name) for name in names if name in labels.names), otherwise)


def _spans_of_rows(table: np.ndarray, labels: Labels) -> set[tuple[int, Span]]:
    """The entities of all rows by the labels that count."""
    found = set()
    for row, ids in enumerate(table):
        tags = [labels.names[index] for index in ids[ids != _IGNORED]]
        found |= {(row, span) for span in spans(tags)}
    return found


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The softmax cross-entropy of each piece, from logits [N, C] and labels [N]."""
    largest = logits.max(axis=-1, keepdims=True)
    normalizer = np.log(np.exp(logits - largest).sum(axis=-1)) + largest[:, 0]
    return np.asarray(normalizer - logits[np.arange(len(targets)), targets])
