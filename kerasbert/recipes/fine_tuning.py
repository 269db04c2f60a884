"""Fine-tuning on labelled texts or pairs: single label, multi-label, regression, or a label for each word."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import tensorflow as tf

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, Labels, ReadReport, labelled_dataset, read_labelled
from kerasbert.data.tables.tagged import TaggedTexts, read_tagged
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSequenceClassifier, BertTokenClassifier
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.start import make_backbone, make_optimizer
from kerasbert.recipes.text_formats import note_merged_words, table_format
from kerasbert.recipes.text_metrics import text_metrics
from kerasbert.recipes.token_classification import TOKEN_METRICS, evaluate_tokens, piece_labels, tagged_dataset
from kerasbert.recipes.vocabulary_check import check_unknown_words, first_characters
from kerasbert.run_folder import Evaluation, RunFolder
from kerasbert.settings import FineTuningSettings
from kerasbert.training import (
    History,
    class_weights,
    compile_classifier,
    evaluate_classifier,
    fit,
    layer_wise_factors,
)
from kerasbert.training.evaluation import CLASSIFIER_METRICS

# The rows of this many batches are sorted by length together, which saves padding. Batches still come in random order.
_LENGTH_WINDOW = 8
_SEEN_CHARACTERS = 5000  # of each text; no model sees much more

Rows = LabelledTexts | TaggedTexts
Classifier = BertSequenceClassifier | BertTokenClassifier


_DEFAULT_METRICS = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "micro_f1",
    "regression": "loss",
    "token_classification": "entity_f1",
}


@dataclass(frozen=True)
class FineTuned:
    """The result of fine-tuning.

    Attributes:
        model: The fine-tuned model.
        text_to_inputs: Its preprocessing.
        labels: Its labels; None for regression.
        history: The metrics during training.
        metrics: The final metrics, on the test rows or, without any, on the validation rows.
        folder: The run's folder.
    """

    model: Classifier
    text_to_inputs: TextToInputs
    labels: Labels | None
    history: History
    metrics: dict[str, Any]
    folder: RunFolder


@dataclass(frozen=True)
class FineTuningRows:
    """The rows of each split.

    Attributes:
        train: The training rows, which alone define the labels.
        validation: The rows to validate on during training.
        test: The rows for the final metrics, or None for the validation rows.
    """

    train: Rows
    validation: Rows
    test: Rows | None = None

    @property
    def final(self) -> Rows:
        """The rows of the final metrics."""
        return self.validation if self.test is None else self.test

    @functools.cached_property
    def labels(self) -> Labels | None:
        """The labels of training; None for regression."""
        return None if self.train.problem_type == "regression" else self.train.label_names()


def fine_tune(
    settings: FineTuningSettings, report: ReadReport | None = None, rows: FineTuningRows | None = None
) -> FineTuned:
    """Fine-tunes a classifier, or resumes an interrupted run with the same settings.

    Args:
        settings: The settings, all of which are written to `settings.json`.
        report: A report to which counts of what was read are added.
        rows: Rows that were read before. By default the tables that `settings` names are read.

    Raises:
        BadInputError: A table, the vocabulary, the model to start from, `monitor` or the folder cannot be used.
        TrainingStoppedError: The loss is not a finite number.

    Example:
        >>> settings = FineTuningSettings(train=("train.csv",), start_from="bert", output="runs/fine-tune")
        >>> tuned = fine_tune(settings)  # doctest: +SKIP
        >>> tuned.metrics["accuracy"], tuned.folder.model  # doctest: +SKIP
        (0.91, PosixPath('runs/fine-tune/model'))
    """
    folder = RunFolder(settings.output)
    monitor = monitored_metric(settings)
    rows = rows or read_rows(settings, report)
    # Create targets before the model, so a label that training does not have is reported immediately.
    for split in (rows.validation, rows.final):
        split.targets(rows.labels)
    backbone, to_inputs = make_backbone(settings, settings.sequence_length)
    check_vocabulary(settings, to_inputs, rows.train)
    note_merged_words(report, to_inputs.tokenizer, _texts(rows.train), settings.start_from)
    model = _make_model(backbone, rows)
    steps_per_epoch = math.ceil(len(rows.train) / settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    loss = "single_label_classification" if isinstance(model, BertTokenClassifier) else model.problem_type
    weights = _class_weights(settings, rows, to_inputs)
    factors = None if settings.layer_wise_decay == 1 else layer_wise_factors(model, settings.layer_wise_decay)
    optimizer = make_optimizer(settings, steps, factors)
    compile_classifier(model, optimizer, loss, weights, jit_compile=settings.jit_compile)
    # Begin the run after everything that can fail: a run that was started accepts no other settings.
    folder.begin("fine-tune", dataclasses.asdict(settings), settings.restart)
    history = fit(
        model,
        lambda start_batch: _training_batches(settings, rows, to_inputs, start_batch),
        steps,
        run_dir=folder.path,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
        validate=_measure(rows.validation, rows.labels, to_inputs, settings.batch_size),
        validate_every=steps_per_epoch,
        monitor=monitor,
        early_stopping_patience=settings.early_stopping_patience,
        seed=settings.seed,
        show_progress=settings.show_progress,
    )
    metrics = _measure(rows.final, rows.labels, to_inputs, settings.batch_size)(model)
    checkpoints.save(
        model, folder.model, text_to_inputs=to_inputs, labels=list(rows.labels.names) if rows.labels else None
    )
    confusion = metrics.pop("confusion_matrix", None)
    evaluation = {
        "split": "validation" if rows.test is None else "test",
        "metrics": metrics,
        "confusion_matrix": confusion,
        "labels": list(rows.labels.names) if rows.labels and confusion is not None else None,
        "sequence_length": settings.sequence_length,
        **text_metrics(model, to_inputs, rows.train, rows.final),
    }
    folder.write_evaluation(cast(Evaluation, evaluation))
    return FineTuned(model, to_inputs, rows.labels, history, metrics, folder)


def monitored_metric(settings: FineTuningSettings) -> str:
    """Returns the validation metric that tells which epoch is best.

    Raises:
        BadInputError: `monitor` is not a metric of the task.
    """
    metrics = {**CLASSIFIER_METRICS, "token_classification": TOKEN_METRICS}[settings.task]
    if settings.monitor and settings.monitor not in metrics:
        raise BadInputError(
            f"`monitor` must be a metric of the task. Received: monitor={settings.monitor!r} for {settings.task}. "
            f"Choose one of {', '.join(metrics)}."
        )
    return settings.monitor or _DEFAULT_METRICS[settings.task]


def check_vocabulary(settings: FineTuningSettings, to_inputs: TextToInputs, rows: Rows) -> None:
    """Refuses rows with too many words that are not in the vocabulary.

    Raises:
        BadInputError: Their share is larger than `settings.max_unknown_share`.
    """
    check_unknown_words(
        to_inputs.tokenizer,
        first_characters(_texts(rows)),
        settings.max_unknown_share,
        settings.start_from or settings.vocabulary,
    )


def _texts(rows: Rows) -> Iterator[str]:
    """The texts of some rows, up to the length that a model reads."""
    if isinstance(rows, TaggedTexts):
        texts: Iterator[str] = (" ".join(words) for words in rows.words)
    else:
        texts = itertools.chain(rows.texts, rows.pairs or ())
    return (text[:_SEEN_CHARACTERS] for text in texts)


def read_rows(settings: FineTuningSettings, report: ReadReport | None = None) -> FineTuningRows:
    """Reads all tables. Without validation tables, a share of the training rows is held out."""
    train = _read(settings, settings.train, report)
    if settings.validation:
        validation = _read(settings, settings.validation, report)
    else:
        share = settings.validation_share
        parts = train.split({"train": 1 - share, "validation": share}, report)
        train, validation = parts["train"], parts["validation"]
    return FineTuningRows(train, validation, _read(settings, settings.test, report) if settings.test else None)


def _read(settings: FineTuningSettings, paths: Sequence[str], report: ReadReport | None) -> Rows:
    """The rows of some tables."""
    if settings.task == "token_classification":
        return read_tagged(paths, settings.text_column, settings.label_column, report, table_format(settings))
    return read_labelled(
        paths,
        settings.text_column,
        settings.label_column,
        settings.pair_column,
        settings.task,
        settings.label_separator,
        report,
        table_format(settings),
    )


def _make_model(backbone: BertBackbone, rows: FineTuningRows) -> Classifier:
    """Returns the encoder with the head of the task."""
    num_labels = len(rows.labels) if rows.labels else 1
    if isinstance(rows.train, TaggedTexts):
        return BertTokenClassifier(backbone, num_labels=num_labels)
    return BertSequenceClassifier(backbone, num_labels=num_labels, problem_type=rows.train.problem_type)


def _class_weights(settings: FineTuningSettings, rows: FineTuningRows, to_inputs: TextToInputs) -> Any:
    """The weight of each label in the loss, or None.

    Raises:
        BadInputError: The task has no labels, or a weight is that of an unknown label.
    """
    if settings.class_weights is None:
        return None
    if rows.labels is None:
        raise BadInputError(
            f"Class weights need a task with labels. Received: `class_weights` for {settings.task}. "
            "Remove `class_weights`, or use another `task`."
        )
    if isinstance(rows.train, TaggedTexts):
        targets = piece_labels(rows.train, rows.labels, to_inputs, settings.label_pieces == "all")
        task = "single_label_classification"
    else:
        targets, task = rows.train.targets(rows.labels), rows.train.problem_type
    return class_weights(settings.class_weights, targets, rows.labels.names, task)


def _training_batches(
    settings: FineTuningSettings, rows: FineTuningRows, to_inputs: TextToInputs, start_batch: int
) -> tf.data.Dataset:
    """Endless shuffled batches, starting with number `start_batch`."""
    order: dict[str, Any] = {
        "seed": settings.seed,
        "shuffle": True,
        "start_batch": start_batch,
        "length_window": _LENGTH_WINDOW,
        "epochs": None,
    }
    train = rows.train
    if isinstance(train, TaggedTexts):
        every_piece = settings.label_pieces == "all"
        labels = piece_labels(train, Labels(rows.labels or ()), to_inputs, every_piece)
        return tagged_dataset(train, labels, to_inputs, settings.batch_size, **order)
    return labelled_dataset(train.inputs, train.targets(rows.labels), to_inputs, settings.batch_size, **order)


def _measure(
    rows: Rows, labels: Labels | None, to_inputs: TextToInputs, batch_size: int
) -> Callable[[Classifier], dict[str, Any]]:
    """Returns the function that evaluates a model on some rows. It creates their dataset only once."""
    if isinstance(rows, TaggedTexts):
        return lambda model: evaluate_tokens(model, rows, Labels(labels or ()), to_inputs, batch_size)
    batches = labelled_dataset(rows.inputs, rows.targets(labels), to_inputs, batch_size)
    return lambda model: evaluate_classifier(model, batches, list(labels) if labels else None)
