"""The model of a fine-tuning run: the head on the encoder, the weights that train, the loss and the optimizer."""

from typing import Any

from kerasbert.data.tables.questions import AskedQuestions
from kerasbert.data.tables.tagged import TaggedTexts
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSequenceClassifier, BertSpanPredictor, BertTokenClassifier
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.fine_tuning_rows import FineTuningRows
from kerasbert.recipes.start import make_optimizer
from kerasbert.recipes.token_classification import piece_labels
from kerasbert.settings import FineTuningSettings
from kerasbert.training import (
    add_low_rank_adapters,
    class_weights,
    compile_candidates,
    compile_classifier,
    freeze,
    layer_wise_factors,
)

Classifier = BertSequenceClassifier | BertTokenClassifier | BertSpanPredictor


def compiled_classifier(
    settings: FineTuningSettings, backbone: BertBackbone, rows: FineTuningRows, to_inputs: TextToInputs, steps: int
) -> Classifier:
    """Returns the encoder with the head of the task, compiled.

    Args:
        settings: The settings of the run.
        backbone: The encoder.
        rows: The rows, whose labels are those of the head.
        to_inputs: The preprocessing.
        steps: Number of batches.

    Raises:
        BadInputError: The settings contradict the task or the encoder.
    """
    if settings.ema is not None and settings.early_stopping_patience is not None:
        raise BadInputError(
            "Early stopping keeps the weights of the best epoch, and not their average. Received: "
            f"ema={settings.ema} with early_stopping_patience={settings.early_stopping_patience}. Remove `ema` or "
            "`early_stopping_patience`."
        )
    model = _make_model(backbone, rows)
    freeze(model, settings.freeze_layers, settings.freeze_embeddings)
    if settings.lora is not None:
        add_low_rank_adapters(model, settings.lora)
    weights = _class_weights(settings, rows, to_inputs)
    factors = None if settings.layer_wise_decay == 1 else layer_wise_factors(model, settings.layer_wise_decay)
    optimizer = make_optimizer(settings, steps, factors)
    if isinstance(model, BertSpanPredictor):
        if settings.label_smoothing:
            raise BadInputError(
                "Label smoothing needs a task with labels. "
                f"Received: label_smoothing={settings.label_smoothing} for {settings.task}. Remove `label_smoothing`."
            )
        if settings.r_drop:
            raise BadInputError(
                "R-Drop needs a task with labels or numbers. "
                f"Received: r_drop={settings.r_drop} for {settings.task}. Remove `r_drop`."
            )
        compile_candidates(model, optimizer, jit_compile=settings.jit_compile)
        return model
    loss = "single_label_classification" if isinstance(model, BertTokenClassifier) else model.problem_type
    compile_classifier(model, optimizer, loss, weights, settings.jit_compile, settings.label_smoothing, settings.r_drop)
    return model


def _make_model(backbone: BertBackbone, rows: FineTuningRows) -> Classifier:
    """Returns the encoder with the head of the task."""
    if isinstance(rows.train, AskedQuestions):
        return BertSpanPredictor(backbone)
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
        if settings.class_weights_beta != 1:
            raise BadInputError(
                "`class_weights_beta` needs balanced class weights. Received: "
                f"class_weights_beta={settings.class_weights_beta} without `class_weights`. Set `class_weights` to "
                "balanced, or remove `class_weights_beta`."
            )
        return None
    if rows.labels is None:
        raise BadInputError(
            f"Class weights need a task with labels. Received: `class_weights` for {settings.task}. "
            "Remove `class_weights`, or use another `task`."
        )
    targets: Any
    if isinstance(rows.train, TaggedTexts):
        targets = piece_labels(rows.train, rows.labels, to_inputs, settings.label_pieces == "all")
        task = "single_label_classification"
    else:
        targets, task = rows.train.targets(rows.labels), rows.train.problem_type
    return class_weights(settings.class_weights, targets, rows.labels.names, task, settings.class_weights_beta)
