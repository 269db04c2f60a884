"""The loss for pairs without labels: each anchor has to find its positive among all texts of the batch."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_number
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss, check_columns
from kerasbert.training.sentence_losses.vector_distances import all_cosines

# B batch, K texts of a row, E numbers of a vector


@keras.saving.register_keras_serializable(package="kerasbert")
class MultipleNegativesRankingLoss(SentenceLoss):
    """Cross-entropy of finding each anchor's positive among the positives and hard negatives of all rows.

    Larger batches have more negatives. A batch must not contain a text twice, because a copy of the positive would
    count as a negative. With the same text as anchor and positive, under two dropout masks, this is SimCSE.

    Args:
        scale: factor of the cosine similarities, greater than 0.
        is_symmetric: whether each positive also has to find its anchor. The loss is then the mean of both directions.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: ignored.
        y_pred: vectors of anchors, positives and any number of hard negatives, `[B, K, E]`.

    Raises:
        BadInputError: `scale` is not a number greater than 0.

    Source: Henderson et al. 2017, section 4.4; Gao et al. 2021 (SimCSE); sentence-transformers,
        `MultipleNegativesRankingLoss` and, if symmetric, its `directions` of query and document with
        `partition_mode="per_direction"`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
        >>> round(float(MultipleNegativesRankingLoss(scale=1.0)(keras.ops.zeros(2), vectors)), 4)
        0.3133
    """

    def __init__(self, scale: float = 20.0, is_symmetric: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = check_positive_number("scale", scale)
        self.is_symmetric = is_symmetric

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of vectors [B, K, E]."""
        anchors, *others = check_columns(self, y_pred, 2)
        scores = self.scale * all_cosines(anchors, ops.concatenate(others, axis=0))  # [B, (K - 1) * B]
        own = self.scale * ops.diagonal(all_cosines(anchors, others[0]))
        loss = ops.mean(ops.logsumexp(scores, axis=1) - own)
        if not self.is_symmetric:
            return loss
        back = self.scale * all_cosines(others[0], anchors)
        return 0.5 * (loss + ops.mean(ops.logsumexp(back, axis=1) - own))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale, "is_symmetric": self.is_symmetric}
