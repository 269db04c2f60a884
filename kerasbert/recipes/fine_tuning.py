"""Fine-tuning on labelled texts or pairs: single label, multi-label, regression, or a label for each word."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import tensorflow as tf

from kerasbert import checkpoints
from kerasbert.data import Labels, ReadReport, labelled_dataset
from kerasbert.data.tables.tagged import TaggedTexts
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.fine_tuning_model import Classifier, compiled_classifier
from kerasbert.recipes.fine_tuning_rows import FineTuningRows, Rows, check_vocabulary, read_rows, texts_of
from kerasbert.recipes.start import make_backbone
from kerasbert.recipes.text_formats import note_merged_words
from kerasbert.recipes.text_metrics import text_metrics
from kerasbert.recipes.token_classification import TOKEN_METRICS, evaluate_tokens, piece_labels, tagged_dataset
from kerasbert.recipes.training_precision import with_chosen_precision
from kerasbert.run_folder import Evaluation, RunFolder
from kerasbert.settings import FineTuningSettings
from kerasbert.training import History, evaluate_classifier, fit, merged_adapters, on_averages, use_averages
from kerasbert.training.evaluation import CLASSIFIER_METRICS

# The rows of this many batches are sorted by length together, which saves padding. Batches still come in random order.
_LENGTH_WINDOW = 8

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
    settings = with_chosen_precision(settings)
    folder = RunFolder(settings.output)
    monitor = monitored_metric(settings)
    rows = rows or read_rows(settings, report)
    # Create targets before the model, so a label that training does not have is reported immediately.
    for split in (rows.validation, rows.final):
        split.targets(rows.labels)
    backbone, to_inputs = make_backbone(settings, settings.sequence_length)
    check_vocabulary(settings, to_inputs, rows.train)
    note_merged_words(report, to_inputs.tokenizer, texts_of(rows.train), settings.start_from)
    steps_per_epoch = math.ceil(len(rows.train) / settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    model = compiled_classifier(settings, backbone, rows, to_inputs, steps)
    # Begin the run after everything that can fail: a run that was started accepts no other settings.
    folder.begin("fine-tune", dataclasses.asdict(settings), settings.restart)
    history = fit(
        model,
        lambda start_batch: _training_batches(settings, rows, to_inputs, start_batch),
        steps,
        run_dir=folder.path,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
        validate=on_averages(_measure(rows.validation, rows.labels, to_inputs, settings.batch_size)),
        validate_every=steps_per_epoch,
        monitor=monitor,
        early_stopping_patience=settings.early_stopping_patience,
        seed=settings.seed,
        show_progress=settings.show_progress,
    )
    use_averages(model)
    if settings.lora is not None:
        model = merged_adapters(model)
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
