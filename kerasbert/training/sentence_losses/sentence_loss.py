"""The base of losses that compare the vectors of a whole batch."""

from typing import Any

import keras
from keras import ops

from kerasbert.errors import BadInputError

# B batch, K texts of a row, E numbers of a vector


class SentenceLoss(keras.losses.Loss):
    """A loss of the vectors of a batch, whose rows may be compared with each other.

    Subclasses implement `call`. Losses are computed in float32, whatever the type of the vectors.

    Args:
        name: the loss's name.
        **kwargs: `dtype`.

    Call arguments:
        y_true: labels, as the subclass describes.
        y_pred: vectors `[B, K, E]`, or `[B, E]` for one text per row.

    Returns:
        A float32 scalar.

    Raises:
        BadInputError: `sample_weight` is given, because rows have no losses of their own.

    Example:
        >>> class Length(SentenceLoss):
        ...     def call(self, y_true, y_pred):
        ...         return keras.ops.mean(keras.ops.norm(y_pred, axis=-1))
        >>> float(Length()(keras.ops.zeros(1), keras.ops.array([[[3.0, 4.0]]])))
        5.0
    """

    def __init__(self, name: str | None = None, **kwargs: Any):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss. Keras's own method would reduce it over rows."""
        if sample_weight is not None:
            raise BadInputError(
                f"{type(self).__name__} compares rows, so rows have no weights. Received: sample_weight. "
                "Leave it out, or repeat important rows."
            )
        return self.call(ops.convert_to_tensor(y_true), ops.cast(y_pred, "float32"))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}


def check_columns(loss: SentenceLoss, vectors: Any, least: int, most: int | None = None) -> list[Any]:
    """Return the vectors of each column, K of [B, E], after checking their number.

    Raises:
        BadInputError: the rows have too few or too many texts.
    """
    count = vectors.shape[1] if len(vectors.shape) == 3 else 1
    if count is None or count < least or count > (most or count):
        wanted = f"{least}" if most == least else f"at least {least}"
        raise BadInputError(
            f"{type(loss).__name__} needs vectors [rows, texts, numbers] with {wanted} texts in a row. "
            f"Received: shape={tuple(vectors.shape)}. Use another loss, or a table with other columns."
        )
    return [vectors[:, column] for column in range(count)]
