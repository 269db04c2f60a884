"""Losses that teach a student the scores or vectors of a teacher: margin-MSE, MSE and KL divergence."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_number
from kerasbert.errors import BadInputError
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss, check_columns
from kerasbert.training.sentence_losses.vector_distances import dots

# B batch, K texts of a row, E numbers of a vector


@keras.saving.register_keras_serializable(package="kerasbert")
class MarginMSELoss(SentenceLoss):
    """Mean squared error between the student's and the teacher's margins of the positive over each negative.

    A student's score is the dot product of two vectors.

    Call arguments:
        y_true: the teacher's margins `[B, K - 2]` (or `[B]` with one negative), or its scores of the positive and the
            negatives, `[B, K - 1]`.
        y_pred: vectors of queries, positives and negatives, `[B, K, E]`.

    Source: Hofstätter et al. 2020, equation 7; sentence-transformers, `MarginMSELoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [3.0, 0.0], [1.0, 5.0]]])
        >>> float(MarginMSELoss()(keras.ops.array([1.5]), vectors)), float(MarginMSELoss()([[4.0, 1.0]], vectors))
        (0.25, 1.0)
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of margins or scores and vectors [B, K, E]."""
        query, positive, *negatives = check_columns(self, y_pred, 3)
        scores = dots(query, positive)
        margins = ops.stack([scores - dots(query, negative) for negative in negatives], axis=1)  # [B, K - 2]
        wanted = ops.cast(y_true, "float32")
        wanted = ops.expand_dims(wanted, 1) if len(wanted.shape) == 1 else wanted
        if wanted.shape[1] == len(negatives) + 1:
            wanted = wanted[:, :1] - wanted[:, 1:]
        if wanted.shape[1] != len(negatives):
            raise _wrong_labels(self, y_true, f"{len(negatives)} margins, or {len(negatives) + 1} scores,")
        return ops.mean(ops.square(margins - wanted))


@keras.saving.register_keras_serializable(package="kerasbert")
class VectorMSELoss(SentenceLoss):
    """Mean squared error between the vectors of a student and those of a teacher, e.g. for another language.

    Call arguments:
        y_true: the teacher's vectors `[B, E]` for all texts of a row, or `[B, K, E]`.
        y_pred: vectors `[B, K, E]` or `[B, E]`.

    Source: Reimers and Gurevych 2020, equation 1; sentence-transformers, `MSELoss`.

    Example:
        >>> float(VectorMSELoss()(keras.ops.array([[1.0, 1.0]]), keras.ops.array([[[1.0, 0.0], [1.0, 1.0]]])))
        0.25
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of teacher's vectors and vectors [B, K, E]."""
        wanted = ops.cast(y_true, "float32")
        if len(wanted.shape) < len(y_pred.shape):
            wanted = ops.expand_dims(wanted, 1)  # [B, E] -> [B, 1, E]
        if wanted.shape[-1] != y_pred.shape[-1] or len(wanted.shape) != len(y_pred.shape):
            raise _wrong_labels(self, y_true, f"vectors of {y_pred.shape[-1]} numbers")
        return ops.mean(ops.square(y_pred - wanted))


@keras.saving.register_keras_serializable(package="kerasbert")
class DistillKLLoss(SentenceLoss):
    """KL divergence between the teacher's and the student's distribution over the candidates of each query.

    A student's score is the dot product of two vectors. The loss is multiplied by the squared temperature.

    Args:
        temperature: divisor of both scores before the softmax, greater than 0.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: the teacher's scores of the candidates, `[B, K - 1]`.
        y_pred: vectors of queries and at least two candidates, `[B, K, E]`.

    Raises:
        BadInputError: `temperature` is not a number greater than 0.

    Source: Lin et al. 2020, section 3.2; sentence-transformers, `DistillKLDivLoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [3.0, 0.0], [1.0, 5.0]]])
        >>> round(float(DistillKLLoss()(keras.ops.array([[4.0, 2.0]]), vectors)), 6)
        0.0
    """

    def __init__(self, temperature: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.temperature = check_positive_number("temperature", temperature)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of scores [B, K - 1] and vectors [B, K, E]."""
        query, *candidates = check_columns(self, y_pred, 3)
        if len(y_true.shape) != 2 or y_true.shape[1] != len(candidates):
            raise _wrong_labels(self, y_true, f"{len(candidates)} scores")
        scores = ops.stack([dots(query, candidate) for candidate in candidates], axis=1)  # [B, K - 1]
        student = ops.log_softmax(scores / self.temperature, axis=1)
        teacher = ops.log_softmax(ops.cast(y_true, "float32") / self.temperature, axis=1)
        divergence = ops.sum(ops.exp(teacher) * (teacher - student), axis=1)  # [B]
        return ops.mean(divergence) * self.temperature**2

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


def _wrong_labels(loss: SentenceLoss, labels: Any, wanted: str) -> BadInputError:
    return BadInputError(
        f"{type(loss).__name__} needs {wanted} of a teacher for each row. Received: shape={tuple(labels.shape)}. "
        "Correct the label column."
    )
