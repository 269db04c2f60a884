"""Reduces a sequence to one vector: its first or last hidden state, or a mean or maximum over its real tokens."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_choice
from kerasbert.errors import BadInputError

# B batch, T tokens, H hidden size, M concatenated poolings

# In the order in which sentence-transformers concatenates them.
MODES = ("cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last")


def check_modes(mode: Any) -> str | tuple[str, ...]:
    """Return `mode` as a name, or as a tuple of at least two names, after checking it."""
    if not isinstance(mode, list | tuple):
        return check_choice("mode", mode, MODES)
    if not mode:
        raise BadInputError(f"`mode` must name at least one pooling. Received: mode={mode!r}. Choose from {MODES}.")
    modes = tuple(check_choice("mode", name, MODES) for name in mode)
    return modes if len(modes) > 1 else modes[0]


@keras.saving.register_keras_serializable(package="kerasbert")
class Pooling(keras.layers.Layer):
    """Pools hidden states over the tokens, without padding.

    Args:
        mode: "cls" (the first position), "max", "mean", "mean_sqrt_len" (the sum, divided by the square root of the
            number of tokens), "weighted_mean" (the first real token has weight 1, the second 2, and so on) or "last"
            (the last real token); or a sequence of these, whose vectors are concatenated in that order.

    Call arguments:
        sequence_output: hidden states `[B, T, H]`.
        padding_mask: `[B, T]`, 0 at padding tokens and another value at real tokens. Defaults to the Keras mask of
            `sequence_output`; without one, every token is real.

    Returns:
        `[B, H]`, or `[B, M*H]` for M modes. Rows without real tokens become zeros, except for "cls".

    Raises:
        BadInputError: a mode is unknown, or the sequence of modes is empty.

    Source: sentence-transformers, `Pooling`, whose names are `cls`, `max`, `mean`, `mean_sqrt_len_tokens`,
    `weightedmean` and `lasttoken`.

    Example:
        >>> hidden, mask = keras.ops.array([[[1.0], [3.0], [9.0]]]), keras.ops.array([[1, 1, 0]])
        >>> float(Pooling("mean")(hidden, padding_mask=mask)[0, 0])
        2.0
        >>> [float(value) for value in Pooling(["cls", "last"])(hidden, padding_mask=mask)[0]]
        [1.0, 3.0]
    """

    def __init__(self, mode: str | Sequence[str] = "cls", **kwargs: Any):
        super().__init__(**kwargs)
        self.mode = check_modes(mode)
        self.supports_masking = True

    def call(self, sequence_output: Any, padding_mask: Any = None, mask: Any = None) -> Any:
        """Return the pooled vectors [B, M*H] of hidden states [B, T, H]."""
        modes = (self.mode,) if isinstance(self.mode, str) else self.mode
        if set(modes) == {"cls"}:
            hidden = is_real = None  # not needed
        else:
            padding_mask = mask if padding_mask is None else padding_mask
            if padding_mask is None:
                padding_mask = ops.ones_like(sequence_output[:, :, 0])
            is_real = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)  # [B, T] -> [B, T, 1]
            # A float16 sum over hundreds of tokens would be imprecise.
            dtype = keras.backend.result_type(sequence_output.dtype, "float32")
            hidden = ops.where(is_real, ops.cast(sequence_output, dtype), 0.0)
        pooled = [
            sequence_output[:, 0, :] if mode == "cls" else ops.cast(_pooled(mode, hidden, is_real), self.compute_dtype)
            for mode in modes
        ]
        return pooled[0] if len(pooled) == 1 else ops.concatenate(pooled, axis=-1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return no mask: the pooled vector has no tokens."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mode": self.mode if isinstance(self.mode, str) else list(self.mode)}


def _pooled(mode: str, hidden: Any, is_real: Any) -> Any:
    """Return [B, H], from hidden states [B, T, H] with zeros at padding, and which tokens are real [B, T, 1]."""
    if mode == "max":
        pooled = ops.max(ops.where(is_real, hidden, -1e9), axis=1)
        return ops.where(ops.any(is_real, axis=1), pooled, 0.0)
    real = ops.cast(is_real, hidden.dtype)
    if mode == "last":
        place = ops.cumsum(ops.ones_like(real), axis=1)  # 1, 2, 3, ...
        is_last = place == ops.max(real * place, axis=1, keepdims=True)  # nowhere in a row without real tokens
        return ops.sum(ops.where(is_last, hidden, 0.0), axis=1)
    if mode == "weighted_mean":
        has_begun = ops.cast(ops.cumsum(real, axis=1) > 0, hidden.dtype)
        real = real * ops.cumsum(has_begun, axis=1)  # 1, 2, 3, ... from the first real token on
        hidden = hidden * real
    weight = ops.maximum(ops.sum(real, axis=1), 1.0)  # [B, 1]
    return ops.sum(hidden, axis=1) / (ops.sqrt(weight) if mode == "mean_sqrt_len" else weight)
