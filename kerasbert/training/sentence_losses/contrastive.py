"""Losses for pairs of texts that are similar (1) or not (0): contrastive, and online contrastive."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_number
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss, check_columns
from kerasbert.training.sentence_losses.vector_distances import cosines

# B batch, E numbers of a vector


@keras.saving.register_keras_serializable(package="kerasbert")
class ContrastiveLoss(SentenceLoss):
    """Pulls similar texts together, and pushes others apart up to a margin.

    The mean of (y d^2 + (1 - y) max(0, margin - d)^2) / 2, with the cosine distance d = 1 - cosine similarity.

    Args:
        margin: cosine distance at which texts that are not similar have no loss any more.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: 1 for similar texts, 0 for others, `[B]`.
        y_pred: vectors `[B, 2, E]`.

    Raises:
        BadInputError: `margin` is not a number greater than 0.

    Source: Hadsell et al. 2006, equation 4; sentence-transformers, `ContrastiveLoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> float(ContrastiveLoss()(keras.ops.array([1, 0]), vectors))
        0.3125
    """

    def __init__(self, margin: float = 0.5, **kwargs: Any):
        super().__init__(**kwargs)
        self.margin = check_positive_number("margin", margin)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of labels [B] and vectors [B, 2, E]."""
        distances, is_similar = self._distances(y_true, y_pred)
        is_similar = ops.cast(is_similar, "float32")
        apart = ops.square(ops.relu(self.margin - distances))
        return ops.mean(0.5 * (is_similar * ops.square(distances) + (1.0 - is_similar) * apart))

    def _distances(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return the cosine distances [B] and the labels [B]."""
        first, second = check_columns(self, y_pred, 2, 2)
        return 1.0 - cosines(first, second), ops.reshape(ops.cast(y_true, "float32"), (-1,))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="kerasbert")
class OnlineContrastiveLoss(ContrastiveLoss):
    """The contrastive loss of the hard pairs of a batch only, as a sum.

    Hard are similar texts that are further apart than the closest pair of others, and pairs of others that are closer
    than the most distant similar texts. In a batch of only one kind, the mean distance takes the place of the missing
    kind's.

    Args:
        margin: cosine distance at which texts that are not similar have no loss any more.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: 1 for similar texts, 0 for others, `[B]`.
        y_pred: vectors `[B, 2, E]`.

    Raises:
        BadInputError: `margin` is not a number greater than 0.

    Source: sentence-transformers, `OnlineContrastiveLoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> float(OnlineContrastiveLoss()(keras.ops.array([1, 0]), vectors))
        1.25
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of labels [B] and vectors [B, 2, E]."""
        distances, labels = self._distances(y_true, y_pred)
        positive, negative = labels == 1.0, labels == 0.0
        furthest = ops.max(ops.where(positive, distances, -1e30))
        closest = ops.min(ops.where(negative, distances, 1e30))
        furthest = ops.where(ops.any(positive), furthest, _mean(distances, negative))
        closest = ops.where(ops.any(negative), closest, _mean(distances, positive))
        hard_negatives = ops.logical_and(negative, distances < furthest)
        hard_positives = ops.logical_and(positive, distances > closest)
        apart = ops.where(hard_negatives, ops.square(ops.relu(self.margin - distances)), 0.0)
        return ops.sum(ops.where(hard_positives, ops.square(distances), 0.0)) + ops.sum(apart)


def _mean(values: Any, chosen: Any) -> Any:
    """Return the mean of the chosen values [B], or 0 if none is."""
    chosen = ops.cast(chosen, values.dtype)
    return ops.sum(values * chosen) / ops.maximum(ops.sum(chosen), 1.0)
