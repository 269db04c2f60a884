"""A wrapper that trains the beginnings of vectors as well, so that vectors may be cut (Matryoshka)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_integer
from kerasbert.errors import BadInputError
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss
from kerasbert.training.sentence_losses.vector_distances import unit_vectors

# E numbers of a vector


@keras.saving.register_keras_serializable(package="kerasbert")
class MatryoshkaLoss(SentenceLoss):
    """The weighted sum of another loss over several sizes, each with vectors cut to that size and scaled to length 1.

    Args:
        loss: the loss of each size.
        sizes: the sizes, e.g. `[384, 256, 128]`. Include the whole size, which is not added by itself.
        weights: a weight for each size. Defaults to 1 each.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: labels of the other loss. A teacher's vectors of size E are cut too.
        y_pred: vectors `[B, K, E]` or `[B, E]`.

    Raises:
        BadInputError: a size is invalid or larger than the vectors, or `weights` does not fit.

    Source: Kusupati et al. 2022, equation 1; sentence-transformers, `MatryoshkaLoss`.

    Example:
        >>> from kerasbert.training.sentence_losses import CosineSimilarityLoss
        >>> vectors = keras.ops.array([[[1.0, 1.0], [1.0, -1.0]]])
        >>> float(MatryoshkaLoss(CosineSimilarityLoss(), [2, 1])(keras.ops.array([0.0]), vectors))
        1.0
    """

    def __init__(self, loss: SentenceLoss, sizes: Sequence[int], weights: Sequence[float] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.loss = loss
        self.sizes = [check_positive_integer("sizes", size) for size in sizes]
        self.weights = [1.0] * len(self.sizes) if weights is None else [float(weight) for weight in weights]
        if not self.sizes or len(self.weights) != len(self.sizes):
            raise BadInputError(
                "`sizes` must have at least one size, and `weights` a weight for each. "
                f"Received: sizes={sizes!r}, weights={weights!r}. For example, sizes=[256, 128]."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of labels and vectors [..., E]."""
        whole = y_pred.shape[-1]
        if max(self.sizes) > whole:
            raise BadInputError(
                f"`sizes` must not be larger than the model's vectors of {whole} numbers. "
                f"Received: sizes={self.sizes}. Leave out the larger ones."
            )
        has_vectors = len(y_true.shape) > 1 and y_true.shape[-1] == whole
        total = 0.0
        for size, weight in zip(self.sizes, self.weights, strict=True):
            labels = y_true[..., :size] if has_vectors else y_true
            total = total + weight * self.loss(labels, unit_vectors(y_pred[..., :size]))
        return ops.cast(total, "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "sizes": self.sizes, "weights": self.weights}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MatryoshkaLoss":
        """Return the loss that a config describes."""
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})
