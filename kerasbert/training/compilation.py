"""Gives a model its losses, running metrics and optimizer, so that Keras' own `fit` and ours train it alike."""

from typing import Any

import keras

from kerasbert.training.losses import MaskedLMLoss, classification_loss, next_sentence_loss


def compile_pretrainer(model: keras.Model, optimizer: Any, jit_compile: bool | None = None) -> None:
    """Prepares masked LM and next-sentence prediction, trained jointly: the total loss is the sum of both.

    The running metrics are called `loss`, `masked_lm_loss`, `masked_lm_accuracy` (over masked positions, weighted),
    `next_sentence_loss` and `next_sentence_accuracy`.

    Args:
        model: a model with the outputs `masked_lm` [B, P, V] and `next_sentence` [B, 2], such as `BertPretrainer`.
        optimizer: such as `adamw(...)`.
        jit_compile: whether XLA compiles the step; None chooses by `chosen_jit_compile`.
    """
    model.compile(
        optimizer=optimizer,
        loss={"masked_lm": MaskedLMLoss(), "next_sentence": next_sentence_loss()},
        weighted_metrics={
            "masked_lm": [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")],
            "next_sentence": [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")],
        },
        jit_compile=chosen_jit_compile(jit_compile),
    )


def compile_classifier(
    model: keras.Model, optimizer: Any, problem_type: str | None = None, jit_compile: bool | None = None
) -> None:
    """Prepares a model with one output, logits [B, C], for fine-tuning.

    The running metrics are called `loss` and `accuracy`, or `loss` and `mean_absolute_error` for regression.

    Args:
        model: such as `BertSequenceClassifier`.
        optimizer: such as `adamw(...)`.
        problem_type: "single_label_classification", "multi_label_classification" or "regression"; None takes the
            model's own `problem_type`.
        jit_compile: whether XLA compiles the step; None chooses by `chosen_jit_compile`.

    Raises:
        ValueError: the problem type is unknown, or neither given nor the model's.
    """
    problem_type = problem_type or getattr(model, "problem_type", None)
    loss = classification_loss(str(problem_type))
    model.compile(
        optimizer=optimizer,
        loss=loss,
        weighted_metrics=[_classification_metric(str(problem_type))],
        jit_compile=chosen_jit_compile(jit_compile),
    )


def chosen_jit_compile(jit_compile: bool | None) -> bool:
    """XLA as asked, or where it pays: always on JAX, on TensorFlow only with an accelerator, on PyTorch never.

    On TensorFlow's CPU each new input length costs a compilation that a short run never earns back; Keras' own "auto"
    would turn it on.
    """
    if jit_compile is not None:
        return jit_compile
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))
    return backend == "jax"


def _classification_metric(problem_type: str) -> keras.metrics.Metric:
    """The one running figure beside the loss."""
    if problem_type == "regression":
        return keras.metrics.MeanAbsoluteError(name="mean_absolute_error", dtype="float32")
    if problem_type == "multi_label_classification":
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0, dtype="float32")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")
