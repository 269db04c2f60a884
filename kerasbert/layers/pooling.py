"""One vector for a whole sequence: its first hidden state, or the mean or maximum over its real tokens."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_choice

# B batch, T tokens, H hidden size


@keras.saving.register_keras_serializable(package="kerasbert")
class Pooling(keras.layers.Layer):
    """Pools hidden states over the tokens, padding left out.

    Args:
        mode: "cls" (the first position), "mean" or "max".

    Call arguments:
        sequence_output: hidden states [B, T, H].
        padding_mask: [B, T], 0 at padding and anything else at real tokens. Left out, the Keras mask of
            `sequence_output` is used, and without one every token is real.

    Returns:
        [B, H]. A row without any real token gives zeros for "mean" and "max".

    Raises:
        BadInputError: the mode is unknown.

    Source: sentence-transformers, `Pooling`.

    Example:
        >>> hidden = keras.ops.array([[[1.0], [3.0], [9.0]]])
        >>> float(Pooling("mean")(hidden, padding_mask=keras.ops.array([[1, 1, 0]]))[0, 0])
        2.0
    """

    _MODES = ("cls", "mean", "max")

    def __init__(self, mode: str = "cls", **kwargs: Any):
        super().__init__(**kwargs)
        self.mode = check_choice("mode", mode, self._MODES)
        self.supports_masking = True

    def call(self, sequence_output: Any, padding_mask: Any = None, mask: Any = None) -> Any:
        """Hidden states [B, T, H] -> [B, H]."""
        if self.mode == "cls":
            return sequence_output[:, 0, :]
        padding_mask = mask if padding_mask is None else padding_mask
        if padding_mask is None:
            padding_mask = ops.ones_like(sequence_output[:, :, 0])
        is_real = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)  # [B, T] -> [B, T, 1]
        # A float16 sum over hundreds of tokens would lose digits.
        dtype = keras.backend.result_type(sequence_output.dtype, "float32")
        hidden = ops.where(is_real, ops.cast(sequence_output, dtype), 0.0)
        if self.mode == "mean":
            count = ops.sum(ops.cast(is_real, dtype), axis=1)  # [B, 1]
            pooled = ops.sum(hidden, axis=1) / ops.maximum(count, 1.0)
        else:
            pooled = ops.max(ops.where(is_real, hidden, -1e9), axis=1)
            pooled = ops.where(ops.any(is_real, axis=1), pooled, 0.0)
        return ops.cast(pooled, self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """The pooled vector has no tokens left to mask."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "mode": self.mode}
