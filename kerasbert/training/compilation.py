"""Compiles a model with its losses, running metrics and optimizer, for the `fit` of Keras and of
`kerasbert.training`."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasbert.training.losses import (
    CandidateLoss,
    ClassWeightedLoss,
    MaskedLMLoss,
    candidate_logits,
    classification_loss,
    next_sentence_loss,
)
from kerasbert.training.r_drop import RDropLoss


def compile_pretrainer(model: keras.Model, optimizer: Any, jit_compile: bool | None = None) -> None:
    """Compile a model for masked LM and next-sentence prediction, trained jointly: the loss is the sum of both.

    The running metrics are `loss`, `masked_lm_loss`, `masked_lm_accuracy` (the weighted mean over masked positions),
    `next_sentence_loss` and `next_sentence_accuracy`. The loss is scaled if the model computes in float16.

    Args:
        model: a model with the outputs `masked_lm` `[B, P, V]` and `next_sentence` `[B, 2]`, e.g. a `BertPretrainer`.
        optimizer: e.g. `adamw(...)`.
        jit_compile: whether to compile the step with XLA. None lets `chosen_jit_compile` choose.

    Example:
        >>> from kerasbert import BertBackbone, BertConfig, BertPretrainer
        >>> from kerasbert.training import adamw
        >>> model = BertPretrainer(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> compile_pretrainer(model, adamw(1e-4))
        >>> model.compiled
        True
    """
    model.compile(
        optimizer=_with_loss_scaling(optimizer, model),
        loss={"masked_lm": MaskedLMLoss(), "next_sentence": next_sentence_loss()},
        weighted_metrics={
            "masked_lm": [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")],
            "next_sentence": [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")],
        },
        jit_compile=chosen_jit_compile(jit_compile),
    )


def compile_classifier(
    model: keras.Model,
    optimizer: Any,
    problem_type: str | None = None,
    class_weights: Sequence[float] | np.ndarray | None = None,
    jit_compile: bool | None = None,
    label_smoothing: float = 0.0,
    r_drop: float = 0.0,
) -> None:
    """Compile a model with one output, logits `[B, C]` (or `[B, T, C]`), for fine-tuning.

    The running metrics are `loss` and `accuracy`, or `loss` and `mean_absolute_error` for regression. The loss is
    scaled if the model computes in float16.

    Args:
        model: e.g. a `BertSequenceClassifier`.
        optimizer: e.g. `adamw(...)`.
        problem_type: `"single_label_classification"`, `"multi_label_classification"` or `"regression"`. Defaults to
            the model's own `problem_type`.
        class_weights: the weight of each label in the loss, as returned by `kerasbert.training.class_weights`: `[C]`,
            or `[2, C]` for multi-label classification. Metrics are not weighted. None weights all labels equally.
        jit_compile: whether to compile the step with XLA. None lets `chosen_jit_compile` choose.
        label_smoothing: share of the target that all labels have in common, e.g. 0.1. See `classification_loss`.
        r_drop: weight of the distance between two answers to the same row, for batches of `rows_twice`. See
            `RDropLoss`.

    Raises:
        ValueError: the problem type is unknown or missing, or the class weights or label smoothing do not fit it.

    Example:
        >>> from kerasbert.training import adamw, class_weights
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> weights = class_weights("balanced", np.array([0, 0, 0, 1]), ["common", "rare"])
        >>> compile_classifier(model, adamw(1e-3), "single_label_classification", class_weights=weights)
    """
    problem_type = str(problem_type or getattr(model, "problem_type", None))
    loss = classification_loss(problem_type, label_smoothing)
    if class_weights is not None:
        dimensions = {"single_label_classification": 1, "multi_label_classification": 2}.get(problem_type)
        if np.ndim(class_weights) != dimensions:
            raise ValueError(
                "`class_weights` must have one weight per label, or [2, labels] weights for multi-label "
                f"classification. Received: shape={np.shape(class_weights)} for {problem_type}. "
                "Use the result of `kerasbert.training.class_weights`."
            )
        loss = ClassWeightedLoss(class_weights, label_smoothing)
    if r_drop:
        loss = RDropLoss(loss, r_drop, problem_type)
    model.compile(
        optimizer=_with_loss_scaling(optimizer, model),
        loss=loss,
        weighted_metrics=[_classification_metric(problem_type)],
        jit_compile=chosen_jit_compile(jit_compile),
    )


def compile_candidates(model: keras.Model, optimizer: Any, jit_compile: bool | None = None) -> None:
    """Compile a model that chooses one of the candidates of each row, for fine-tuning.

    The targets are those of `CandidateLoss`. The loss of a model with several outputs is the mean of their losses. The
    running metrics are `loss`, and the `accuracy` of each output.

    Args:
        model: e.g. a `BertSpanPredictor`, with the targets `start_logits` and `end_logits` `[B, T]`, or a
            `BertMultipleChoice`, with the targets `[B, C]`.
        optimizer: e.g. `adamw(...)`.
        jit_compile: whether to compile the step with XLA. None lets `chosen_jit_compile` choose.

    Example:
        >>> from kerasbert import BertBackbone, BertConfig
        >>> from kerasbert.models import BertSpanPredictor
        >>> from kerasbert.training import adamw
        >>> model = BertSpanPredictor(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> compile_candidates(model, adamw(1e-4))
        >>> model.compiled
        True
    """
    names = list(model.output) if isinstance(model.output, dict) else None
    of_each: Any = {"loss": CandidateLoss(), "weighted_metrics": [_candidate_accuracy()]}
    if names is not None:
        of_each = {
            "loss": {name: CandidateLoss() for name in names},
            "loss_weights": dict.fromkeys(names, 1 / len(names)),
            "weighted_metrics": {name: [_candidate_accuracy()] for name in names},
        }
    model.compile(
        optimizer=_with_loss_scaling(optimizer, model), **of_each, jit_compile=chosen_jit_compile(jit_compile)
    )


def _candidate_accuracy() -> keras.metrics.Metric:
    """Return the share of the rows whose best candidate is the right one."""

    def is_right(y_true: Any, y_pred: Any) -> Any:
        return ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(candidate_logits(y_true, y_pred), axis=-1))

    return keras.metrics.MeanMetricWrapper(is_right, name="accuracy", dtype="float32")


def chosen_jit_compile(jit_compile: bool | None) -> bool:
    """Return whether to use XLA: the argument or, by default, whether it is worthwhile.

    It is always worthwhile on JAX, only with an accelerator on TensorFlow, and never on PyTorch. With TensorFlow on a
    CPU, each new input length needs a compilation, which takes too long for a short run. Keras's `"auto"` would turn it
    on.
    """
    if jit_compile is not None:
        return jit_compile
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))
    return backend == "jax"


def _with_loss_scaling(optimizer: Any, model: keras.Model) -> Any:
    """Return an optimizer that scales the loss, if any layer computes in mixed float16.

    `Model.compile` only looks at the policy of the model itself, which a plain functional model does not take from its
    layers (e.g. the result of `keras.models.clone_model`, or your own model with a backbone in it).
    """
    optimizer = keras.optimizers.get(optimizer)
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer.weights]
    is_float16 = any(layer.dtype_policy.name == "mixed_float16" for layer in layers)
    if is_float16 and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _classification_metric(problem_type: str) -> keras.metrics.Metric:
    """Return the running metric in addition to the loss."""
    if problem_type == "regression":
        return keras.metrics.MeanAbsoluteError(name="mean_absolute_error", dtype="float32")
    if problem_type == "multi_label_classification":
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0, dtype="float32")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")
