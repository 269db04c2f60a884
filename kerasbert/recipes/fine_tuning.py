"""Fine-tuning on labelled rows: one text or a pair, single label, multi-label, regression, or a label for each word."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import tensorflow as tf

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, Labels, ReadReport, labelled_dataset, read_labelled
from kerasbert.data.tables.labelled import ProblemType
from kerasbert.data.tables.tagged import TaggedTexts, read_tagged
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSequenceClassifier, BertTokenClassifier
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.start import make_backbone, make_optimizer
from kerasbert.recipes.text_metrics import text_metrics
from kerasbert.recipes.token_classification import TOKEN_METRICS, evaluate_tokens, piece_labels, tagged_dataset
from kerasbert.recipes.vocabulary_check import check_unknown_words, first_characters
from kerasbert.run_folder import RunFolder
from kerasbert.settings import FineTuningSettings
from kerasbert.training import History, compile_classifier, evaluate_classifier, fit
from kerasbert.training.evaluation import CLASSIFIER_METRICS

# Rows of so many batches are sorted by length together, which saves padding; batches still come in random order.
_LENGTH_WINDOW = 8
_SEEN_CHARACTERS = 5000  # of a text: no model sees much more

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
    """What fine-tuning gave: the model, its preprocessing and labels, the history and the final metrics."""

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
        train: to learn from. They alone say which labels there are.
        validation: to watch during training.
        test: for the final metrics; None takes those of validation.
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
    """Fine-tunes a classifier, or goes on where a killed run with the same settings stopped.

    Args:
        settings: all of them are written to `settings.json`.
        report: counts of what was read are added to it.
        rows: rows that were read already. By default the tables that `settings` names are read.

    Raises:
        BadInputError: a table, the vocabulary, the model to start from, `monitor` or the folder cannot be used.
        TrainingStoppedError: the loss is no number.
    """
    folder = RunFolder(settings.output)
    monitor = monitored_metric(settings)
    rows = rows or read_rows(settings, report)
    # Targets are made before the model, so that an unseen label is found at once.
    for split in (rows.validation, rows.final):
        split.targets(rows.labels)
    backbone, to_inputs = make_backbone(settings, settings.sequence_length)
    check_vocabulary(settings, to_inputs, rows.train)
    model = _make_model(backbone, rows)
    steps_per_epoch = math.ceil(len(rows.train) / settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    loss = "single_label_classification" if isinstance(model, BertTokenClassifier) else model.problem_type
    compile_classifier(model, make_optimizer(settings, steps), loss, jit_compile=settings.jit_compile)
    # Behind all that can refuse: a folder that was begun takes these settings only.
    folder.begin("fine-tune", dataclasses.asdict(settings), settings.restart)
    history = fit(
        model,
        lambda start_batch: _training_batches(settings, rows, to_inputs, start_batch),
        steps,
        run_dir=folder.path,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
        validate=lambda trained: _evaluate(trained, rows.validation, rows.labels, to_inputs, settings.batch_size),
        validate_every=steps_per_epoch,
        monitor=monitor,
        early_stopping_patience=settings.early_stopping_patience,
        seed=settings.seed,
        show_progress=settings.show_progress,
    )
    metrics = _evaluate(model, rows.final, rows.labels, to_inputs, settings.batch_size)
    checkpoints.save(
        model, folder.model, text_to_inputs=to_inputs, labels=list(rows.labels.names) if rows.labels else None
    )
    confusion = metrics.pop("confusion_matrix", None)
    folder.write_evaluation(
        {
            "split": "validation" if rows.test is None else "test",
            "metrics": metrics,
            "confusion_matrix": confusion,
            "labels": list(rows.labels.names) if rows.labels and confusion is not None else None,
            "sequence_length": settings.sequence_length,
            **text_metrics(model, to_inputs, rows.train, rows.final),
        }
    )
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
    """Refuses rows in words that the vocabulary does not know.

    Raises:
        BadInputError: more of them are unknown than `settings.max_unknown_share` allows.
    """
    if isinstance(rows, TaggedTexts):
        texts: Iterator[str] = (" ".join(words) for words in rows.words)
    else:
        texts = itertools.chain(rows.texts, rows.pairs or ())
    check_unknown_words(
        to_inputs.tokenizer,
        first_characters(text[:_SEEN_CHARACTERS] for text in texts),
        settings.max_unknown_share,
        settings.start_from or settings.vocabulary,
    )


def read_rows(settings: FineTuningSettings, report: ReadReport | None = None) -> FineTuningRows:
    """Reads all tables; holds rows out for validation where none are given."""
    train = _read(settings, settings.train, report)
    if settings.validation:
        validation = _read(settings, settings.validation, report)
    else:
        share = settings.validation_share
        parts = train.split({"train": 1 - share, "validation": share})
        train, validation = parts["train"], parts["validation"]
        if not len(train) or not len(validation):
            raise BadInputError(
                f"Training and validation must both have rows. Received: {len(train)} and {len(validation)} after "
                f"holding out a share of {share}. Give more rows, or validation rows of your own with `--validation`."
            )
    return FineTuningRows(train, validation, _read(settings, settings.test, report) if settings.test else None)


def _read(settings: FineTuningSettings, paths: Sequence[str], report: ReadReport | None) -> Rows:
    """The rows of some tables."""
    if settings.task == "token_classification":
        return read_tagged(paths, settings.text_column, settings.label_column, report)
    return read_labelled(
        paths,
        settings.text_column,
        settings.label_column,
        settings.pair_column,
        cast(ProblemType, settings.task),
        settings.label_separator,
        report,
    )


def _make_model(backbone: BertBackbone, rows: FineTuningRows) -> Classifier:
    """The encoder with the head of the task."""
    num_labels = len(rows.labels) if rows.labels else 1
    if isinstance(rows.train, TaggedTexts):
        return BertTokenClassifier(backbone, num_labels=num_labels)
    return BertSequenceClassifier(backbone, num_labels=num_labels, problem_type=rows.train.problem_type)


def _training_batches(
    settings: FineTuningSettings, rows: FineTuningRows, to_inputs: TextToInputs, start_batch: int
) -> tf.data.Dataset:
    """Shuffled batches from number `start_batch` on, without end."""
    order: dict[str, Any] = {
        "seed": settings.seed,
        "shuffle": True,
        "start_batch": start_batch,
        "length_window": _LENGTH_WINDOW,
        "epochs": None,
    }
    train = rows.train
    if isinstance(train, TaggedTexts):
        labels = piece_labels(train, Labels(rows.labels or ()), to_inputs)
        return tagged_dataset(train, labels, to_inputs, settings.batch_size, **order)
    return labelled_dataset(train.inputs, train.targets(rows.labels), to_inputs, settings.batch_size, **order)


def _evaluate(
    model: Classifier, rows: Rows, labels: Labels | None, to_inputs: TextToInputs, batch_size: int
) -> dict[str, Any]:
    """The task's metrics on some rows."""
    if isinstance(rows, TaggedTexts):
        return evaluate_tokens(model, rows, Labels(labels or ()), to_inputs, batch_size)
    batches = labelled_dataset(rows.inputs, rows.targets(labels), to_inputs, batch_size)
    return evaluate_classifier(model, batches, list(labels) if labels else None)
