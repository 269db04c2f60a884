"""The losses that training minimizes: masked LM, next-sentence prediction, and one per problem type of a classifier.

All are computed in float32, regardless of the dtype of the model's outputs. For metrics, see metrics.py.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from kerasbert.argument_checks import check_rate
from kerasbert.errors import BadInputError
from kerasbert.settings import PROBLEM_TYPES

# B batch, P masked positions, V vocabulary, C labels


@keras.saving.register_keras_serializable(package="kerasbert")
class MaskedLMLoss(keras.losses.Loss):
    """Cross-entropy over the masked positions of the whole batch: sum(w * l) / (sum(w) + 1e-5).

    Every masked position of the batch has the same weight, regardless of their number in its row. Without masked
    positions, the loss is 0.

    Call arguments:
        y_true: the ids of the masked pieces, int32 `[B, P]`.
        y_pred: logits `[B, P, V]`, of any float type.
        sample_weight: `[B, P]`, 0 where a row has fewer than P masked positions. Defaults to 1 everywhere.

    Returns:
        A float32 scalar.

    Source: google-research/bert, `run_pretraining.py` (`get_masked_lm_output`).

    Example:
        >>> logits, ids = keras.ops.zeros((1, 2, 4)), keras.ops.array([[1, 0]])
        >>> round(float(MaskedLMLoss()(ids, logits, keras.ops.array([[1.0, 0.0]]))), 3)
        1.386
    """

    def __init__(self, name: str = "masked_lm_loss", **kwargs: Any):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the weighted mean. Keras's reductions divide by the number of positions, or lack the 1e-5."""
        losses = self.call(y_true, y_pred)  # [B, P]
        weights = ops.ones_like(losses) if sample_weight is None else ops.cast(sample_weight, "float32")
        return ops.sum(losses * weights) / (ops.sum(weights) + 1e-5)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the cross-entropy of each position, float32 [B, P], from ids [B, P] and logits [B, P, V]."""
        return ops.sparse_categorical_crossentropy(y_true, ops.cast(y_pred, "float32"), from_logits=True)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}


@keras.saving.register_keras_serializable(package="kerasbert")
class ClassWeightedLoss(keras.losses.Loss):
    """Softmax or sigmoid cross-entropy in which each label has a weight.

    The result is sum(s * w * l) / sum(s), with sample weights s, class weights w and losses l. Class weights are not
    part of the divisor, so they also act in a batch of a single row or a single label.

    Args:
        class_weights: weights `[C]` for softmax cross-entropy, or `[2, C]` for sigmoid cross-entropy: the weights of
            rows without and with each label. See `kerasbert.training.class_weights`.
        label_smoothing: see `classification_loss`. A row keeps the weight of its own label.
        name: the loss's name.

    Call arguments:
        y_true: label ids `[B]` (or `[B, T]`) for weights `[C]`; 0 and 1 `[B, C]` for weights `[2, C]`.
        y_pred: logits `[B, C]` (or `[B, T, C]`), of any float type.
        sample_weight: weights of rows (or tokens), in addition to the class weights.

    Example:
        >>> loss = ClassWeightedLoss([1.0, 3.0])
        >>> logits = keras.ops.zeros((2, 2))
        >>> round(float(loss(keras.ops.array([0, 1]), logits)) / float(loss(keras.ops.array([0, 0]), logits)), 3)
        2.0
    """

    def __init__(
        self, class_weights: Any, label_smoothing: float = 0.0, name: str = "class_weighted_loss", **kwargs: Any
    ):
        super().__init__(name=name, **{"dtype": "float32", "reduction": "mean_with_sample_weight", **kwargs})
        self.label_smoothing = check_rate("label_smoothing", label_smoothing)
        self.class_weights = np.asarray(class_weights, np.float32)
        if self.class_weights.ndim == 2 and len(self.class_weights) == 2:
            self._is_multi_label = True
        elif self.class_weights.ndim == 1:
            self._is_multi_label = False
        else:
            raise ValueError(
                "`class_weights` must have the shape [labels], or [2, labels] for several labels per row. "
                f"Received: shape={self.class_weights.shape}. Use the result of `kerasbert.training.class_weights`."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the weighted loss of each row (or token), float32 [B] (or [B, T])."""
        y_pred = ops.cast(y_pred, "float32")
        if self._is_multi_label:
            y_true = ops.cast(y_true, "float32")
            targets = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
            losses = ops.binary_crossentropy(targets, y_pred, from_logits=True)
            without, with_label = self.class_weights
            return ops.mean(losses * (with_label * y_true + without * (1.0 - y_true)), axis=-1)
        y_true = ops.reshape(ops.cast(y_true, "int32"), ops.shape(y_pred)[:-1])
        losses = _smoothed_crossentropy(y_true, y_pred, self.label_smoothing)
        return losses * ops.take(ops.convert_to_tensor(self.class_weights), y_true)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "class_weights": self.class_weights.tolist(),
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable(package="kerasbert")
class SmoothedCrossentropy(keras.losses.Loss):
    """Softmax cross-entropy with label smoothing: (1 - e) * l + e * (the mean of l over all labels).

    Args:
        label_smoothing: e, at least 0 and less than 1.
        name: the loss's name.

    Call arguments:
        y_true: label ids `[B]` (or `[B, T]`).
        y_pred: logits `[B, C]` (or `[B, T, C]`), of any float type.
        sample_weight: weights of rows (or tokens).

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7.

    Example:
        >>> loss = SmoothedCrossentropy(0.1)
        >>> round(float(loss(keras.ops.array([0]), keras.ops.array([[2.0, 0.0]]))), 3)
        0.227
    """

    def __init__(self, label_smoothing: float, name: str = "smoothed_crossentropy", **kwargs: Any):
        super().__init__(name=name, **{"dtype": "float32", "reduction": "mean_with_sample_weight", **kwargs})
        self.label_smoothing = check_rate("label_smoothing", label_smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row (or token), float32 [B] (or [B, T])."""
        y_pred = ops.cast(y_pred, "float32")
        y_true = ops.reshape(ops.cast(y_true, "int32"), ops.shape(y_pred)[:-1])
        return _smoothed_crossentropy(y_true, y_pred, self.label_smoothing)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def _smoothed_crossentropy(labels: Any, logits: Any, label_smoothing: float) -> Any:
    """Return the cross-entropy of each row, from labels [B] (or [B, T]) and float32 logits [B, C] (or [B, T, C])."""
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if not label_smoothing:
        return losses
    # The cross-entropy of label c is logsumexp(logits) - logits[c].
    of_all_labels = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
    return (1.0 - label_smoothing) * losses + label_smoothing * of_all_labels


@keras.saving.register_keras_serializable(package="kerasbert")
class CandidateLoss(keras.losses.Loss):
    """Softmax cross-entropy over the candidates of each row, e.g. the tokens of a text or the choices of a question.

    What is not a candidate, e.g. padding, does not take part in the softmax: a row has the same loss in every batch.

    Call arguments:
        y_true: int `[B, N]`: 1 for the right candidate, 0 for the others, and -1 for what is not a candidate.
        y_pred: logits `[B, N]`, of any float type.

    Example:
        >>> logits, marks = keras.ops.array([[1.0, 1.0, 9.0]]), keras.ops.array([[1, 0, -1]])
        >>> round(float(CandidateLoss()(marks, logits)), 3)
        0.693
    """

    def __init__(self, name: str = "candidate_loss", **kwargs: Any):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row, float32 [B]."""
        logits = candidate_logits(y_true, y_pred)
        return -ops.sum(ops.cast(ops.equal(y_true, 1), "float32") * ops.log_softmax(logits), axis=-1)


def candidate_logits(marks: Any, logits: Any) -> Any:
    """Return logits `[B, N]` in float32, very low for what is not a candidate.

    Args:
        marks: int `[B, N]`, less than 0 for what is not a candidate.
        logits: `[B, N]`.

    Example:
        >>> float(candidate_logits(keras.ops.array([[0, -1]]), keras.ops.array([[2.0, 2.0]]))[0, 0])
        2.0
    """
    return ops.where(ops.less(marks, 0), -1e9, ops.cast(logits, "float32"))


def next_sentence_loss() -> keras.losses.Loss:
    """Return the loss for logits `[B, 2]` and labels `[B]`, 0 (is next) or 1 (random): weighted mean cross-entropy.

    Example:
        >>> round(float(next_sentence_loss()(keras.ops.array([0, 1]), keras.ops.zeros((2, 2)))), 3)
        0.693
    """
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight", dtype="float32", name="next_sentence_loss"
    )


def classification_loss(problem_type: str, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Return the loss for the outputs `[B, C]` of a classifier.

    Args:
        problem_type: `"single_label_classification"` (softmax cross-entropy, labels `[B]`),
            `"multi_label_classification"` (mean of C sigmoid cross-entropies, labels `[B, C]` of 0 and 1) or
            `"regression"` (mean squared error, targets `[B, C]`, or `[B]` if C is 1).
        label_smoothing: share of the target that all labels have in common: with a single label, the target of a
            label is (1 - label_smoothing) * y + label_smoothing / C, and with several (1 - label_smoothing) * y +
            label_smoothing / 2. Must be 0 for regression.

    Raises:
        ValueError: the problem type is unknown, or is regression with label smoothing.

    Example:
        >>> type(classification_loss("regression")).__name__
        'MeanSquaredError'
    """
    check_rate("label_smoothing", label_smoothing)
    shared: dict[str, Any] = {"reduction": "mean_with_sample_weight", "dtype": "float32"}
    if problem_type == "single_label_classification":
        if label_smoothing:
            return SmoothedCrossentropy(label_smoothing)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **shared)
    if problem_type == "multi_label_classification":
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing, **shared)
    if problem_type == "regression":
        if label_smoothing:
            raise BadInputError(
                "Label smoothing needs a task with labels. "
                f"Received: label_smoothing={label_smoothing} for regression. Remove `label_smoothing`."
            )
        return keras.losses.MeanSquaredError(**shared)
    raise ValueError(
        f"`problem_type` must be one of {', '.join(PROBLEM_TYPES)}. "
        f"Received: problem_type={problem_type!r}. Choose one of them."
    )
