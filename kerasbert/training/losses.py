"""What training makes small: the masked-LM and next-sentence losses, and one loss per kind of answer of a classifier.

All are computed in float32, whatever the model computes in. The metrics that people read: see metrics.py.
"""

from typing import Any

import keras
from keras import ops

# B batch, P masked positions, V vocabulary, C labels


@keras.saving.register_keras_serializable(package="kerasbert")
class MaskedLMLoss(keras.losses.Loss):
    """Cross-entropy over the masked positions of the whole batch: sum(w * l) / (sum(w) + 1e-5).

    Every masked position of the batch counts the same, however many its row has. A batch without any gives 0.

    Call arguments:
        y_true: the hidden words' ids, int32 [B, P].
        y_pred: logits [B, P, V], of any float type.
        sample_weight: [B, P], 0 where a row has fewer than P masked positions; all 1 when left out.

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
        """The weighted mean. Keras' own reductions divide by the number of positions or lack the 1e-5."""
        losses = self.call(y_true, y_pred)  # [B, P]
        weights = ops.ones_like(losses) if sample_weight is None else ops.cast(sample_weight, "float32")
        return ops.sum(losses * weights) / (ops.sum(weights) + 1e-5)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """[B, P] and [B, P, V] -> the cross-entropy of each position, float32 [B, P]."""
        return ops.sparse_categorical_crossentropy(y_true, ops.cast(y_pred, "float32"), from_logits=True)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"name": self.name}


def next_sentence_loss() -> keras.losses.Loss:
    """Cross-entropy of the two logits [B, 2] against 0 (is next) or 1 (random) [B], as the batch's weighted mean."""
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight", dtype="float32", name="next_sentence_loss"
    )


def classification_loss(problem_type: str) -> keras.losses.Loss:
    """The loss on the logits [B, C] of a classifier.

    Args:
        problem_type: "single_label_classification" (softmax cross-entropy, labels [B]), "multi_label_classification"
            (mean of C sigmoid cross-entropies, labels [B, C] of 0 and 1) or "regression" (mean squared error, targets
            [B, C], or [B] when C is 1).

    Raises:
        ValueError: the problem type is none of these.

    Example:
        >>> type(classification_loss("regression")).__name__
        'MeanSquaredError'
    """
    shared: dict[str, Any] = {"reduction": "mean_with_sample_weight", "dtype": "float32"}
    if problem_type == "single_label_classification":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **shared)
    if problem_type == "multi_label_classification":
        return keras.losses.BinaryCrossentropy(from_logits=True, **shared)
    if problem_type == "regression":
        return keras.losses.MeanSquaredError(**shared)
    raise ValueError(
        "`problem_type` must be single_label_classification, multi_label_classification or regression. "
        f"Received: problem_type={problem_type!r}. Choose one of them."
    )
