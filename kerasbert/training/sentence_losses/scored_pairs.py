"""Losses for pairs of texts with a score of their similarity: cosine similarity, CoSENT and AnglE."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_number
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss, check_columns
from kerasbert.training.sentence_losses.vector_distances import cosines, dots, unit_vectors

# B batch, E numbers of a vector


@keras.saving.register_keras_serializable(package="kerasbert")
class CosineSimilarityLoss(SentenceLoss):
    """Mean squared error between the cosine similarity of two texts and their score.

    Call arguments:
        y_true: scores `[B]`, from -1 to 1.
        y_pred: vectors `[B, 2, E]`.

    Source: Reimers and Gurevych 2019, section 3 (regression objective); sentence-transformers, `CosineSimilarityLoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
        >>> float(CosineSimilarityLoss()(keras.ops.array([1.0, 0.5]), vectors))
        0.125
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of scores [B] and vectors [B, 2, E]."""
        first, second = check_columns(self, y_pred, 2, 2)
        scores = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        return ops.mean(ops.square(cosines(first, second) - scores))


@keras.saving.register_keras_serializable(package="kerasbert")
class CoSENTLoss(SentenceLoss):
    """Ranks pairs of texts by their score: log(1 + sum of exp(scale * (s_i - s_j))) over pairs with score i < score j.

    Only the order of the scores matters.

    Args:
        scale: factor of the cosine similarities s, greater than 0.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: scores `[B]`.
        y_pred: vectors `[B, 2, E]`.

    Raises:
        BadInputError: `scale` is not a number greater than 0.

    Source: Su Jianlin 2022, "CoSENT", https://kexue.fm/archives/8847; sentence-transformers, `CoSENTLoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
        >>> right, wrong = keras.ops.array([1.0, 0.0]), keras.ops.array([0.0, 1.0])
        >>> round(float(CoSENTLoss()(right, vectors)), 3), round(float(CoSENTLoss()(wrong, vectors)), 3)
        (0.0, 20.0)
    """

    def __init__(self, scale: float = 20.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = check_positive_number("scale", scale)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of scores [B] and vectors [B, 2, E]."""
        first, second = check_columns(self, y_pred, 2, 2)
        scores = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        similarities = self.scale * self.similarity(first, second)
        differences = ops.expand_dims(similarities, 1) - ops.expand_dims(similarities, 0)  # [B, B]: i - j
        is_wrong_order = ops.expand_dims(scores, 1) < ops.expand_dims(scores, 0)
        terms = ops.reshape(ops.where(is_wrong_order, differences, -1e30), (-1,))
        return ops.logsumexp(ops.concatenate([ops.zeros((1,), terms.dtype), terms]))

    def similarity(self, first: Any, second: Any) -> Any:
        """Return the similarity of each pair [B], from [B, E] and [B, E]."""
        return cosines(first, second)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="kerasbert")
class AnglELoss(CoSENTLoss):
    """CoSENT with a similarity of angles in complex space, whose gradient does not vanish for similar texts.

    The first half of a vector is the real part of E/2 complex numbers, the second half the imaginary part. The
    similarity is the absolute sum of the real and imaginary parts of the product of one vector with the conjugate of
    the other.

    Args:
        scale: factor of the similarities, greater than 0.
        **kwargs: `name` and `dtype`.

    Call arguments:
        y_true: scores `[B]`.
        y_pred: vectors `[B, 2, E]`.

    Raises:
        BadInputError: `scale` is not a number greater than 0.

    Source: Li and Li 2023, "AnglE-optimized Text Embeddings"; sentence-transformers, `AnglELoss`.

    Example:
        >>> vectors = keras.ops.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]]])
        >>> round(float(AnglELoss()(keras.ops.array([1.0, 0.0]), vectors)), 3)
        0.0
    """

    def similarity(self, first: Any, second: Any) -> Any:
        """Return the similarity of each pair [B], from [B, E] and [B, E]."""
        first, second = (_with_even_size(unit_vectors(vectors)) for vectors in (first, second))
        half = first.shape[-1] // 2
        sines = dots(first[:, half:], second[:, :half]) - dots(first[:, :half], second[:, half:])
        return ops.abs(dots(first, second) + sines)


def _with_even_size(vectors: Any) -> Any:
    """Return vectors [B, E], with a zero added if E is odd."""
    return ops.pad(vectors, [(0, 0), (0, 1)]) if vectors.shape[-1] % 2 else vectors
