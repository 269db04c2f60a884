"""Fine-tuning with a label for each word: converts the tags of words to labels of pieces, and answers to entities.

A word of one piece has the label of its tag. If the tokenizer splits a word into several words (e.g. "U.S."), these
share its label like the words of an entity, because a served model does not know where the user's words end: "S-place"
becomes "B-place", "I-place" and "E-place". Pieces that begin with `##` have no label. For the parts of a tag, see
kerasbert/data/tables/tag_scheme.py.

Shapes: `R` rows, `T` tokens, `C` labels.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasbert.data import Labels, labelled_dataset
from kerasbert.data.tables.tag_scheme import BEGINS, FINISHES, INSIDE, parsed_tag
from kerasbert.data.tables.tagged import OUTSIDE, TaggedTexts
from kerasbert.models.inference import compiled_forward
from kerasbert.preprocessing import TextToInputs

# The label of a piece that has none.
_IGNORED = -1
# The metrics of `evaluate_tokens`, without counts.
TOKEN_METRICS = ("loss", "accuracy", "entity_precision", "entity_recall", "entity_f1")
# Prefix of a word's tag -> prefix of the last of its pieces, for words that are a whole entity or the end of one.
_LAST = {"S": "E", "E": "E", "U": "L", "L": "L"}

Span = tuple[int, int, str]


@dataclass(frozen=True)
class PieceTargets:
    """The targets for training and evaluating a token classifier.

    Attributes:
        labels: the label of each piece, int32 `[R, T]` for the longest input, and -1 for pieces without a label.
        words: the number of the word to which each labelled piece belongs, `[R, T]`; -1 at other pieces.
        cut_off: number of words of each row beyond the maximum sequence length, int `[R]`.
    """

    labels: np.ndarray
    words: np.ndarray
    cut_off: np.ndarray


def piece_targets(rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs) -> PieceTargets:
    """Return the labels of the pieces of each row.

    Raises:
        BadInputError: a tag does not occur in the training rows.
    """
    targets = rows.targets(labels)
    shares = [_shared(label, labels) for label in range(len(labels))]
    tokenizer, room = to_inputs.tokenizer, to_inputs.sequence_length - 2
    ids, starts, _ = tokenizer.tokenize_with_offsets(tf.constant(rows.texts))
    continues = np.array([piece.startswith("##") for piece in tokenizer.vocabulary.pieces])
    of_pieces, of_words = (np.full((len(rows), to_inputs.sequence_length), _IGNORED, np.int32) for _ in range(2))
    cut_off = np.zeros(len(rows), np.int64)
    for row, (pieces, begins) in enumerate(zip(ids.to_list(), starts.to_list(), strict=True)):
        words = np.searchsorted(_word_begins(rows.words[row]), begins, side="right") - 1
        counts = ~continues[pieces] | (np.diff(words, prepend=-1) > 0)
        cut_off[row] = len({*words} - {*words[:room]})
        for word, group in itertools.groupby(np.flatnonzero(counts[:room]), key=words.__getitem__):
            positions = np.array([*group]) + 1  # after [CLS]
            label = targets[row][word]
            of_words[row, positions] = word
            if len(positions) == 1:
                of_pieces[row, positions] = label
            else:
                first, inside, last = shares[label]
                of_pieces[row, positions] = [first, *[inside] * (len(positions) - 2), last]
    return PieceTargets(of_pieces, of_words, cut_off)


def piece_labels(rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs) -> np.ndarray:
    """Return the label of each piece, int32 `[R, T]` for the longest input, and -1 for pieces without a label.

    Raises:
        BadInputError: a tag does not occur in the training rows.
    """
    return piece_targets(rows, labels, to_inputs).labels


def tagged_dataset(
    rows: TaggedTexts, targets: np.ndarray, to_inputs: TextToInputs, batch_size: int, **options: Any
) -> tf.data.Dataset:
    """Return batches (inputs, labels `[B, T]`, weights `[B, T]`). For the options, see `labelled_dataset`."""

    def cut(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> Any:
        labels = labels[:, : tf.shape(inputs["token_ids"])[1]]
        return inputs, tf.maximum(labels, 0), tf.cast(labels >= 0, tf.float32)

    return labelled_dataset(rows.texts, targets, to_inputs, batch_size, **options).map(cut)


def evaluate_tokens(
    model: keras.Model, rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs, batch_size: int
) -> dict[str, Any]:
    """Measure a token classifier on all words and entities of some rows.

    The model does not read words and entities beyond its maximum sequence length. They count as missed in every metric
    except `loss`, and `words_cut_off` is the number of these words.

    Args:
        model: a token classifier.
        rows: the rows to measure on.
        labels: the labels from training.
        to_inputs: the model's preprocessing.
        batch_size: number of rows in a batch.

    Returns:
        `loss` over labelled pieces; `accuracy` over labelled pieces and words that are cut off; `entity_precision`,
        `entity_recall` and `entity_f1` over entities, which are correct if kind, start and end are correct; and the
        counts `rows`, `entities`, `words` and `words_cut_off`.

    Raises:
        BadInputError: a tag does not occur in the training rows.
    """
    targets = piece_targets(rows, labels, to_inputs)
    loss, answers = _losses_and_answers(model, rows, targets.labels, to_inputs, batch_size)
    true_spans, found_spans = set(), set()
    for row, tags in enumerate(rows.tags):
        true, found = _tags_of_row(row, tags, targets, answers, labels)
        true_spans |= {(row, span) for span in spans(true)}
        found_spans |= {(row, span) for span in spans(found)}
    hits = len(true_spans & found_spans)
    is_labelled = targets.labels != _IGNORED
    right, cut_off = (answers == targets.labels)[is_labelled].sum(), targets.cut_off.sum()
    measured = is_labelled.sum() + cut_off
    return {
        "loss": loss,
        "accuracy": float(right / measured) if measured else 0.0,
        "entity_precision": hits / len(found_spans) if found_spans else 0.0,
        "entity_recall": hits / len(true_spans) if true_spans else 0.0,
        "entity_f1": 2 * hits / (len(found_spans) + len(true_spans)) if true_spans or found_spans else 0.0,
        "rows": len(rows),
        "entities": len(true_spans),
        "words": sum(len(words) for words in rows.words),
        "words_cut_off": int(cut_off),
    }


def _losses_and_answers(
    model: keras.Model, rows: TaggedTexts, labels: np.ndarray, to_inputs: TextToInputs, batch_size: int
) -> tuple[float, np.ndarray]:
    """Return the mean loss over labelled pieces, and the model's label of each labelled piece [R, T]."""
    losses, answers, done = [], np.full_like(labels, _IGNORED), 0
    forward = compiled_forward(model)
    for inputs, _, _ in tagged_dataset(rows, labels, to_inputs, batch_size):
        logits = np.asarray(ops.convert_to_numpy(forward(inputs)), np.float64)
        end = done + len(logits)
        wanted = labels[done:end, : logits.shape[1]]
        counts = wanted != _IGNORED
        losses.append(_cross_entropy(logits[counts], wanted[counts]))
        answers[done:end, : logits.shape[1]][counts] = logits.argmax(axis=-1)[counts]
        done = end
    loss = np.concatenate(losses)
    return float(loss.mean()) if len(loss) else 0.0, answers


def _tags_of_row(
    row: int, tags: Sequence[str], targets: PieceTargets, answers: np.ndarray, labels: Labels
) -> tuple[list[str], list[str]]:
    """Return a row's true and predicted tags of labelled pieces, and of words that the model does not read."""
    places: dict[int, list[int]] = {}
    for place in np.flatnonzero(targets.words[row] != _IGNORED):
        places.setdefault(int(targets.words[row, place]), []).append(int(place))
    true, found = [], []
    for word, tag in enumerate(tags):
        if word in places:
            true += [labels.names[targets.labels[row, place]] for place in places[word]]
            found += [labels.names[answers[row, place]] for place in places[word]]
        else:
            true.append(tag)
            found.append(OUTSIDE)
    return true, found


def spans(tags: list[str]) -> list[Span]:
    """Return the entities of a sequence of tags: first word, word after the last one, kind.

    Neighbors of the same kind are one entity, unless a prefix marks a beginning or an end, as in the answers of an
    exported model (see kerasbert/data/tables/tag_scheme.py).

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
    """Return the byte at which each word begins in the row's text."""
    sizes = [len(word.encode()) + 1 for word in words]
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def _shared(label: int, labels: Labels) -> tuple[int, int, int]:
    """Return the labels of the first, the inner and the last of several pieces of a word with this label.

    If training has no such label, the word's own label is used.
    """
    prefix, kind = parsed_tag(labels.names[label])
    if not prefix:
        return label, label, label
    inner = _known([f"{INSIDE}-{kind}"], labels, label)
    first = _known([f"B-{kind}"], labels, label) if prefix in BEGINS else inner
    return first, inner, _known([f"{_LAST.get(prefix, INSIDE)}-{kind}", f"{INSIDE}-{kind}"], labels, label)


def _known(names: Sequence[str], labels: Labels, otherwise: int) -> int:
    """Return the label of the first of these names that occurs in training."""
    return next((labels.id_of(name) for name in names if name in labels.names), otherwise)


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the softmax cross-entropy of each piece, from logits [N, C] and labels [N]."""
    largest = logits.max(axis=-1, keepdims=True)
    normalizer = np.log(np.exp(logits - largest).sum(axis=-1)) + largest[:, 0]
    return np.asarray(normalizer - logits[np.arange(len(targets)), targets])
