"""Losses that keep texts of one class closer together than texts of different classes."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_choice, check_positive_number
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss, check_columns
from kerasbert.training.sentence_losses.vector_distances import all_cosines, all_euclidean, cosines, euclidean

# B batch, E numbers of a vector; i anchor, j positive, k negative

MININGS = ("hard", "all", "semi_hard")
DISTANCES = ("euclidean", "cosine")


@keras.saving.register_keras_serializable(package="kerasbert")
class TripletLoss(SentenceLoss):
    """The mean of max(0, d(anchor, positive) - d(anchor, negative) + margin) over given triplets.

    Args:
        margin: difference of distances at which a triplet has no loss any more.
        distance: "euclidean" or "cosine".
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: ignored.
        y_pred: vectors of anchors, positives and negatives, `[B, 3, E]`.

    Raises:
        BadInputError: an argument is invalid.

    Source: Reimers and Gurevych 2019, section 3 (triplet objective); sentence-transformers, `TripletLoss`.

    Example:
        >>> vectors = keras.ops.array([[[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]])
        >>> round(float(TripletLoss()(keras.ops.zeros(1), vectors)), 3)
        9.0
    """

    def __init__(self, margin: float = 5.0, distance: str = "euclidean", **kwargs: Any):
        super().__init__(**kwargs)
        self.margin = check_positive_number("margin", margin)
        self.distance = check_choice("distance", distance, DISTANCES)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of vectors [B, 3, E]."""
        anchor, positive, negative = check_columns(self, y_pred, 3, 3)
        if self.distance == "cosine":
            difference = cosines(anchor, negative) - cosines(anchor, positive)
        else:
            difference = euclidean(anchor, positive) - euclidean(anchor, negative)
        return ops.mean(ops.relu(difference + self.margin))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "distance": self.distance}


@keras.saving.register_keras_serializable(package="kerasbert")
class BatchTripletLoss(SentenceLoss):
    """The triplet loss of texts with classes, whose triplets are found in the batch.

    Args:
        mining: "hard" (for each text, its most distant one of the same class and its closest one of another class),
            "all" (the mean over all triplets with a loss) or "semi_hard" (for each pair of a class, the closest
            negative that is further away than the positive, or else the most distant negative).
        margin: difference of distances at which a triplet has no loss any more.
        distance: "euclidean" or "cosine".
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: class numbers `[B]`. Batches need several texts of a class.
        y_pred: vectors `[B, E]` or `[B, 1, E]`.

    Raises:
        BadInputError: an argument is invalid.

    Source: Hermans et al. 2017 (hard, all); Schroff et al. 2015 (semi-hard); sentence-transformers,
        `BatchHardTripletLoss`, `BatchAllTripletLoss` and `BatchSemiHardTripletLoss`.

    Example:
        >>> vectors = keras.ops.array([[0.0], [2.0], [5.0], [6.0]])
        >>> float(BatchTripletLoss("hard", margin=2.0)(keras.ops.array([0, 0, 1, 1]), vectors))
        0.25
    """

    def __init__(self, mining: str = "hard", margin: float = 5.0, distance: str = "euclidean", **kwargs: Any):
        super().__init__(**kwargs)
        self.mining = check_choice("mining", mining, MININGS)
        self.margin = check_positive_number("margin", margin)
        self.distance = check_choice("distance", distance, DISTANCES)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of class numbers [B] and vectors [B, E] or [B, 1, E]."""
        vectors = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        labels = ops.reshape(y_true, (-1,))
        distances = all_euclidean(vectors) if self.distance == "euclidean" else 1.0 - all_cosines(vectors, vectors)
        same = ops.expand_dims(labels, 0) == ops.expand_dims(labels, 1)  # [B, B]
        places = ops.arange(ops.shape(labels)[0])
        other = ops.expand_dims(places, 0) != ops.expand_dims(places, 1)
        compute = {"hard": self._hard, "all": self._all, "semi_hard": self._semi_hard}[self.mining]
        return compute(distances, ops.logical_and(same, other), ops.logical_not(same))

    def _hard(self, distances: Any, positive: Any, negative: Any) -> Any:
        furthest = ops.max(ops.where(positive, distances, 0.0), axis=1)
        beyond = distances + ops.max(distances, axis=1, keepdims=True)  # where no negative is
        closest = ops.min(ops.where(negative, distances, beyond), axis=1)
        return ops.mean(ops.relu(furthest - closest + self.margin))

    def _all(self, distances: Any, positive: Any, negative: Any) -> Any:
        # [B, B, 1] - [B, 1, B] -> [B, B, B]
        losses = ops.expand_dims(distances, 2) - ops.expand_dims(distances, 1) + self.margin
        valid = ops.logical_and(ops.expand_dims(positive, 2), ops.expand_dims(negative, 1))
        losses = ops.where(valid, ops.relu(losses), 0.0)
        return ops.sum(losses) / ops.maximum(ops.sum(ops.cast(losses > 1e-16, losses.dtype)), 1e-16)

    def _semi_hard(self, distances: Any, positive: Any, negative: Any) -> Any:
        # For each pair i, j: the negatives k of i that are further away than j.
        further = ops.expand_dims(distances, 1) > ops.expand_dims(distances, 2)  # [B, B, B]
        outside = ops.logical_and(further, ops.expand_dims(negative, 1))
        closest = ops.min(ops.where(outside, ops.expand_dims(distances, 1), 1e30), axis=2)  # [B, B]
        lowest = ops.min(distances, axis=1, keepdims=True)
        inside = ops.max(ops.where(negative, distances - lowest, 0.0), axis=1, keepdims=True) + lowest
        chosen = ops.where(ops.any(outside, axis=2), closest, inside)
        losses = ops.where(positive, ops.relu(distances - chosen + self.margin), 0.0)
        return ops.sum(losses) / ops.maximum(ops.sum(ops.cast(positive, losses.dtype)), 1e-16)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"mining": self.mining, "margin": self.margin, "distance": self.distance}
        return {**super().get_config(), **own}
