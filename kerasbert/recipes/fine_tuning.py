"""Fine-tuning on labelled texts or pairs: labels or numbers of texts, tags of words, or answers to questions."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, cast

from kerasbert import checkpoints
from kerasbert.data import Labels, ReadReport
from kerasbert.data.tables.questions import AskedQuestions
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.fine_tuning_batches import measurement, training_batches
from kerasbert.recipes.fine_tuning_model import Classifier, compiled_classifier
from kerasbert.recipes.fine_tuning_rows import FineTuningRows, check_vocabulary, read_rows, texts_of
from kerasbert.recipes.start import make_backbone
from kerasbert.recipes.tasks.question_answering import check_metric, shown_answers
from kerasbert.recipes.text_formats import note_merged_words
from kerasbert.recipes.text_metrics import text_metrics
from kerasbert.recipes.token_classification import TOKEN_METRICS
from kerasbert.recipes.training_precision import with_chosen_precision
from kerasbert.run_folder import Evaluation, RunFolder
from kerasbert.settings import FineTuningSettings
from kerasbert.training import History, fit, merged_adapters, on_averages, use_averages
from kerasbert.training.answer_metrics import ANSWER_METRICS
from kerasbert.training.evaluation import CLASSIFIER_METRICS

_DEFAULT_METRICS = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "micro_f1",
    "regression": "loss",
    "token_classification": "entity_f1",
    "question_answering": "f1",
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
    if isinstance(rows.validation, AskedQuestions):
        check_metric(rows.validation, monitor)
    backbone, to_inputs = make_backbone(settings, settings.sequence_length)
    check_vocabulary(settings, to_inputs, rows.train)
    note_merged_words(report, to_inputs.tokenizer, texts_of(rows.train), settings.start_from)
    training = training_batches(settings, rows, to_inputs)
    steps_per_epoch = math.ceil(training.size / settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    model = compiled_classifier(settings, backbone, rows, to_inputs, steps)
    # Begin the run after everything that can fail: a run that was started accepts no other settings.
    folder.begin("fine-tune", dataclasses.asdict(settings), settings.restart)
    history = fit(
        model,
        training.from_batch,
        steps,
        run_dir=folder.path,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
        validate=on_averages(measurement(settings, rows.validation, rows.labels, to_inputs)),
        validate_every=steps_per_epoch,
        monitor=monitor,
        early_stopping_patience=settings.early_stopping_patience,
        seed=settings.seed,
        show_progress=settings.show_progress,
    )
    use_averages(model)
    if settings.lora is not None:
        model = merged_adapters(model)
    metrics = measurement(settings, rows.final, rows.labels, to_inputs)(model)
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
        **(shown_answers(model, rows.final, to_inputs) if isinstance(rows.final, AskedQuestions) else {}),
    }
    folder.write_evaluation(cast(Evaluation, evaluation))
    return FineTuned(model, to_inputs, rows.labels, history, metrics, folder)


def monitored_metric(settings: FineTuningSettings) -> str:
    """Returns the validation metric that tells which epoch is best.

    Raises:
        BadInputError: `monitor` is not a metric of the task.
    """
    of_others = {"token_classification": TOKEN_METRICS, "question_answering": ANSWER_METRICS}
    metrics = {**CLASSIFIER_METRICS, **of_others}[settings.task]
    if settings.monitor and settings.monitor not in metrics:
        raise BadInputError(
            f"`monitor` must be a metric of the task. Received: monitor={settings.monitor!r} for {settings.task}. "
            f"Choose one of {', '.join(metrics)}."
        )
    return settings.monitor or _DEFAULT_METRICS[settings.task]
