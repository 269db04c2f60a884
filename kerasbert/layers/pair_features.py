"""Turns the vectors of two texts into features for a classifier of the pair: (u, v, |u - v|)."""

from typing import Any

import keras
from keras import ops

from kerasbert.errors import BadInputError

# B batch, K texts of a row, E numbers of a vector, F parts


@keras.saving.register_keras_serializable(package="kerasbert")
class PairFeatures(keras.layers.Layer):
    """Concatenates two vectors u and v, their absolute difference and their product, as chosen.

    Args:
        vectors: whether to use u and v themselves.
        difference: whether to use |u - v|.
        product: whether to use u * v.
        **kwargs: arguments of a Keras layer.

    Call arguments:
        pair: the vectors of both texts, `[B, 2, E]`.

    Returns:
        `[B, F*E]`: F is 3 by default.

    Raises:
        BadInputError: nothing is used.

    Source: Reimers and Gurevych 2019, section 3 (classification objective); sentence-transformers, `SoftmaxLoss`.

    Example:
        >>> [float(number) for number in PairFeatures()(keras.ops.array([[[1.0], [3.0]]]))[0]]
        [1.0, 3.0, 2.0]
    """

    def __init__(self, vectors: bool = True, difference: bool = True, product: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not (vectors or difference or product):
            raise BadInputError(
                "`PairFeatures` must use at least one feature. Received: vectors=False, difference=False, "
                "product=False. The article uses the vectors and their difference."
            )
        self.vectors = vectors
        self.difference = difference
        self.product = product

    def call(self, pair: Any) -> Any:
        """Return the features [B, F*E] of vectors [B, 2, E]."""
        first, second = pair[:, 0], pair[:, 1]
        parts = [first, second] if self.vectors else []
        parts += [ops.abs(first - second)] if self.difference else []
        parts += [first * second] if self.product else []
        return ops.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"vectors": self.vectors, "difference": self.difference, "product": self.product}
        return {**super().get_config(), **own}
