"""Fine-tuning with a label for each word: converts the tags of words to labels of pieces, and answers to entities.

A word of one piece has the label of its tag. If the tokenizer splits a word into several words (e.g. "U.S."), these
share its label like the words of an entity, because a served model does not know where the user's words end: "S-place"
becomes "B-place", "I-place" and "E-place". Pieces that begin with `##` have no label, except in training with
`label_pieces="all"`. For the parts of a tag, see kerasbert/data/tables/tag_scheme.py.

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
from kerasbert.data.tables.tag_scheme import BEGINS, INSIDE, parsed_tag
from kerasbert.data.tables.tagged import OUTSIDE, TaggedTexts
from kerasbert.models.inference import compiled_forward
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.tasks.tag_decoding import TagScheme
from kerasbert.training.entity_metrics import entity_metrics, spans

# The label of a piece that has none.
_IGNORED = -1
# The metrics of `evaluate_tokens`, without counts.
TOKEN_METRICS = (
    *("loss", "accuracy", "entity_precision", "entity_recall", "entity_f1"),
    *("seqeval_precision", "seqeval_recall", "seqeval_f1"),
    *("seqeval_strict_precision", "seqeval_strict_recall", "seqeval_strict_f1"),
)
# Prefix of a word's tag -> prefix of the last of its pieces, for words that are a whole entity or the end of one.
_LAST = {"S": "E", "E": "E", "U": "L", "L": "L"}


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


def piece_targets(
    rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs, every_piece: bool = False
) -> PieceTargets:
    """Return the labels of the pieces of each row.

    Args:
        rows: the texts.
        labels: the labels from training.
        to_inputs: the model's preprocessing.
        every_piece: whether pieces that begin with `##` have a label too: that of a word inside the same entity.

    Raises:
        BadInputError: a tag does not occur in the training rows.
    """
    targets = rows.targets(labels)
    shares = [_shared(label, labels) for label in range(len(labels))]
    tokenizer, room = to_inputs.tokenizer, to_inputs.sequence_length - 2
    ids, starts, _ = tokenizer.tokenize_with_offsets(tf.constant(rows.texts))
    continues = tokenizer.vocabulary.continues_word
    of_pieces, of_words = (np.full((len(rows), to_inputs.sequence_length), _IGNORED, np.int32) for _ in range(2))
    cut_off = np.zeros(len(rows), np.int64)
    for row, (pieces, begins) in enumerate(zip(ids.to_list(), starts.to_list(), strict=True)):
        words = np.searchsorted(_word_begins(rows.words[row]), begins, side="right") - 1
        counts = ~continues[pieces] | (np.diff(words, prepend=-1) > 0)
        cut_off[row] = len({*words} - {*words[:room]})
        if every_piece:
            rest = np.flatnonzero(~counts[:room])
            of_pieces[row, rest + 1] = [shares[targets[row][word]][1] for word in words[rest]]
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


def piece_labels(rows: TaggedTexts, labels: Labels, to_inputs: TextToInputs, every_piece: bool = False) -> np.ndarray:
    """Return the label of each piece, int32 `[R, T]` for the longest input, and -1 for pieces without a label.

    For the arguments and errors, see `piece_targets`.
    """
    return piece_targets(rows, labels, to_inputs, every_piece).labels


def tagged_dataset(
    rows: TaggedTexts, targets: np.ndarray, to_inputs: TextToInputs, batch_size: int, **options: Any
) -> tf.data.Dataset:
    """Return batches (inputs, labels `[B, T]`, weights `[B, T]`). For the options, see `labelled_dataset`."""

    def cut(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> Any:
        labels = labels[:, : tf.shape(inputs["token_ids"])[1]]
        return inputs, tf.maximum(labels, 0), tf.cast(labels >= 0, tf.float32)

    return labelled_dataset(rows.texts, targets, to_inputs, batch_size, **options).map(cut)


def evaluate_tokens(
    model: keras.Model,
    rows: TaggedTexts,
    labels: Labels,
    to_inputs: TextToInputs,
    batch_size: int,
    constrain_tags: bool = False,
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
        constrain_tags: whether to answer with the best sequence that the tagging scheme allows. See `TagScheme`.

    Returns:
        * `loss` over labelled pieces, and `accuracy` over labelled pieces and words that are cut off.
        * `entity_precision`, `entity_recall` and `entity_f1` over entities as an exported model finds them: kind,
          start and end must be correct.
        * `seqeval_precision`, ..., and `seqeval_strict_precision`, ...: the metrics of seqeval on the tags of the words
          of `rows`, where a word has the label of its first piece. `per_entity` and `per_entity_strict` are the same by
          kind.
        * The counts `rows`, `entities`, `words` and `words_cut_off`.

    Raises:
        BadInputError: a tag does not occur in the training rows.
    """
    targets = piece_targets(rows, labels, to_inputs)
    scheme = TagScheme(labels.names) if constrain_tags else None
    loss, answers = _losses_and_answers(model, rows, targets.labels, to_inputs, batch_size, scheme)
    true_spans, found_spans, found_tags = set(), set(), []
    for row, tags in enumerate(rows.tags):
        true, found = _tags_of_row(row, tags, targets, answers, labels)
        true_spans |= {(row, span) for span in spans(true)}
        found_spans |= {(row, span) for span in spans(found)}
        found_tags.append(_tags_of_words(row, len(tags), targets, answers, labels))
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
        **_seqeval_metrics(rows.tags, found_tags, labels),
        "rows": len(rows),
        "entities": len(true_spans),
        "words": sum(len(words) for words in rows.words),
        "words_cut_off": int(cut_off),
    }


def _seqeval_metrics(true: Sequence[Sequence[str]], found: Sequence[Sequence[str]], labels: Labels) -> dict[str, Any]:
    """Return the metrics of the tags of words in seqeval's default and strict mode."""
    metrics: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for mode, strict in (("", False), ("_strict", True)):
        scores = entity_metrics(true, found, labels.names, strict)
        tables[f"per_entity{mode}"] = scores.pop("per_entity")
        metrics |= {f"seqeval{mode}_{name}": value for name, value in scores.items()}
    return {**metrics, **tables}


def _losses_and_answers(
    model: keras.Model,
    rows: TaggedTexts,
    labels: np.ndarray,
    to_inputs: TextToInputs,
    batch_size: int,
    scheme: TagScheme | None,
) -> tuple[float, np.ndarray]:
    """Return the mean loss over labelled pieces, and the model's label of each labelled piece [R, T]."""
    losses, answers, done = [], np.full_like(labels, _IGNORED), 0
    forward = compiled_forward(model)
    for inputs, _, _ in tagged_dataset(rows, labels, to_inputs, batch_size):
        scores = log_softmax(np.asarray(ops.convert_to_numpy(ops.cast(forward(inputs), "float32")), np.float64))
        end = done + len(scores)
        wanted = labels[done:end, : scores.shape[1]]
        counts = wanted != _IGNORED
        losses.append(-scores[counts, wanted[counts]])
        of_batch = answers[done:end, : scores.shape[1]]  # a view
        of_batch[counts] = scores.argmax(axis=-1)[counts]
        if scheme is not None:
            for row in range(len(scores)):
                of_batch[row, counts[row]] = scheme.best_path(scores[row, counts[row]])
        done = end
    loss = np.concatenate(losses)
    return float(loss.mean()) if len(loss) else 0.0, answers


def _tags_of_words(row: int, count: int, targets: PieceTargets, answers: np.ndarray, labels: Labels) -> list[str]:
    """Return the predicted tag of each word of a row: that of its first piece, and "O" where the model reads none."""
    tags = [OUTSIDE] * count
    for place in np.flatnonzero(targets.words[row] != _IGNORED)[::-1]:
        tags[targets.words[row, place]] = labels.names[answers[row, place]]
    return tags


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


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithm of the probabilities, over the last axis.

    Example:
        >>> log_softmax(np.array([[0.0, 0.0]])).round(3).tolist()
        [[-0.693, -0.693]]
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
