"""The batches of a fine-tuning run, and what is measured on its held-out rows, for each task."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kerasbert.data import Labels, labelled_dataset
from kerasbert.data.tables.questions import AskedQuestions
from kerasbert.data.tables.tagged import TaggedTexts
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.fine_tuning_model import Classifier
from kerasbert.recipes.fine_tuning_rows import FineTuningRows, Rows
from kerasbert.recipes.tasks.question_answering import evaluate_answers, training_search
from kerasbert.recipes.tasks.question_windows import training_windows, window_batches
from kerasbert.recipes.token_classification import evaluate_tokens, piece_labels, tagged_dataset
from kerasbert.settings import AnswerSettings, FineTuningSettings
from kerasbert.training import evaluate_classifier, rows_twice

# The rows of this many batches are sorted by length together, which saves padding. Batches still come in random order.
_LENGTH_WINDOW = 8


class TrainingBatches(NamedTuple):
    """What a model trains on.

    Attributes:
        size: The number of rows of an epoch: texts, or windows of texts.
        from_batch: Maps a batch number to endless shuffled batches, starting with that number.
    """

    size: int
    from_batch: Callable[[int], tf.data.Dataset]


def training_batches(settings: FineTuningSettings, rows: FineTuningRows, to_inputs: TextToInputs) -> TrainingBatches:
    """Returns the training batches.

    Raises:
        BadInputError: No question has an answer that its context contains.
    """
    train = rows.train
    order: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "shuffle": True,
        "length_window": _LENGTH_WINDOW,
        "epochs": None,
    }
    if isinstance(train, AskedQuestions):
        share = settings.negative_window_share
        windows = training_windows(train, to_inputs, training_search(settings), share, settings.seed)
        return TrainingBatches(
            len(windows), lambda start: window_batches(windows, to_inputs, start_batch=start, **order)
        )
    if isinstance(train, TaggedTexts):
        labels = piece_labels(train, Labels(rows.labels or ()), to_inputs, settings.label_pieces == "all")
        return TrainingBatches(
            len(train),
            lambda start: _repeated(settings, tagged_dataset(train, labels, to_inputs, start_batch=start, **order)),
        )
    targets = train.targets(rows.labels)
    return TrainingBatches(
        len(train),
        lambda start: _repeated(
            settings, labelled_dataset(train.inputs, targets, to_inputs, start_batch=start, **order)
        ),
    )


def _repeated(settings: FineTuningSettings, batches: tf.data.Dataset) -> tf.data.Dataset:
    """The batches, with their rows twice for R-Drop."""
    return batches.map(rows_twice) if settings.r_drop else batches


def measurement(
    settings: FineTuningSettings, rows: Rows, labels: Labels | None, to_inputs: TextToInputs
) -> Callable[[Classifier], dict[str, Any]]:
    """Returns the function that evaluates a model on some rows. It creates their dataset only once."""
    batch_size = settings.batch_size
    if isinstance(rows, AskedQuestions):
        reading = AnswerSettings(stride=settings.stride, max_question_tokens=settings.max_question_tokens)
        return lambda model: evaluate_answers(model, rows, to_inputs, batch_size, reading)
    if isinstance(rows, TaggedTexts):
        return lambda model: evaluate_tokens(model, rows, Labels(labels or ()), to_inputs, batch_size)
    batches = labelled_dataset(rows.inputs, rows.targets(labels), to_inputs, batch_size)
    return lambda model: evaluate_classifier(model, batches, list(labels) if labels else None)
