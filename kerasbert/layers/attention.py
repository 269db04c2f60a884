"""Multi-head self-attention with a padding mask. For the residual and norm around it, see encoder_block.py."""

import math
from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import (
    INITIALIZATIONS,
    POSITIONS_OF_ATTENTION,
    check_choice,
    check_flag,
    check_positions,
    check_positive_integer,
    check_positive_number,
    check_rate,
)
from kerasbert.errors import BadInputError
from kerasbert.layers.initial_weights import kernel_initializer
from kerasbert.layers.positions import position_scores, rotated
from kerasbert.layers.token_layout import TokenLayout

# B batch, T tokens, F tokens of a flat list, H hidden size, N heads, D head size = H / N

# Added to the scores of padding positions, in at least float32: their probability is then exactly 0 if the row has any
# real position, and a row of only padding still has finite scores. (The largest float16 number is 65504.)
_PADDING_SCORE = -1e9


@keras.saving.register_keras_serializable(package="kerasbert")
class SelfAttention(keras.layers.Layer):
    """Scaled dot-product self-attention: every token attends to every real token.

    Args:
        num_attention_heads: number of heads. Must divide the hidden size.
        dropout: dropout rate of the attention probabilities.
        initializer_range: standard deviation of the truncated normal initial weights.
        use_bias: whether the projections have biases.
        initialization: "fixed" (`initializer_range`), "fan_in", "fan_out", "fan_average" or "fan_geometric". See
            `EncoderBlock`.
        initializer_gain: a factor of the standard deviation of the initial kernels of value and output.
        position_type: how scores depend on positions. "none": not at all. "relative": keys have a learned vector for
            each distance (Shaw et al. 2018). "t5": a learned number for each bucket of distances and head is added
            (Raffel et al. 2020). "alibi": the distance times a constant of the head is subtracted (Press et al. 2022).
            "rotary": queries and keys are rotated by their positions (Su et al. 2021).
        relative_distance: for "relative" and "t5", the distance from which on all distances are the same.
        relative_buckets: number of buckets for "t5", a multiple of 4.
        rotary_base: for "rotary", the longest wavelength divided by 2 pi.
        rotary_scaling: for "rotary", a divisor of positions.
        scaled: whether scores are divided by the square root of the head size. Without it, the initial query kernel is
            divided by that number, so that the initial scores are as large as with it (Raffel et al. 2020, T5).

    Call arguments:
        hidden: hidden states `[B, T, H]`.
        padding_mask: `[B, T]`, 0 at padding tokens and another value at real tokens. Defaults to the Keras mask of
            `hidden`; without one, every token is real.
        return_attention_scores: also return the attention probabilities `[B, N, T, T]` before dropout.
        layout: the `TokenLayout` of hidden states that are a flat list `[F, H]`. It has the padding mask.

    Returns:
        Hidden states of the same shape; with `return_attention_scores`, a pair of these and the probabilities.

    Raises:
        BadInputError: an argument is invalid, H is not divisible by the number of heads, or the mask is not `[B, T]`.

    Source: google-research/bert, `modeling.py` (`attention_layer`). The softmax is computed in at least float32. The
    formulas of the positions are in positions.py.

    Example:
        >>> layer = SelfAttention(num_attention_heads=2)
        >>> tuple(layer(keras.ops.ones((1, 3, 8))).shape)
        (1, 3, 8)
    """

    def __init__(
        self,
        num_attention_heads: int,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        use_bias: bool = True,
        initialization: str = "fixed",
        initializer_gain: float = 1.0,
        position_type: str = "none",
        relative_distance: int = 128,
        relative_buckets: int = 32,
        rotary_base: float = 10000.0,
        rotary_scaling: float = 1.0,
        scaled: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_attention_heads = check_positive_integer("num_attention_heads", num_attention_heads)
        self.dropout = check_rate("dropout", dropout)
        self.initializer_range = check_positive_number("initializer_range", initializer_range)
        self.use_bias = check_flag("use_bias", use_bias)
        self.initialization = check_choice("initialization", initialization, INITIALIZATIONS)
        self.initializer_gain = check_positive_number("initializer_gain", initializer_gain)
        self.position_type = check_choice("position_type", position_type, POSITIONS_OF_ATTENTION)
        self.relative_distance = check_positive_integer("relative_distance", relative_distance)
        self.relative_buckets = check_positive_integer("relative_buckets", relative_buckets)
        self.rotary_base = check_positive_number("rotary_base", rotary_base)
        self.rotary_scaling = check_positive_number("rotary_scaling", rotary_scaling)
        self.scaled = check_flag("scaled", scaled)
        self.supports_masking = True
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, hidden_shape: Any) -> None:
        """Create the four projections, each [H, H], and the table of distances."""
        hidden_size = hidden_shape[-1]
        if hidden_size % self.num_attention_heads:
            raise BadInputError(
                "The hidden size must be divisible by `num_attention_heads`. "
                f"Received: hidden size {hidden_size}, num_attention_heads={self.num_attention_heads}. "
                "Use a number of heads that divides the hidden size."
            )
        self._head_size = hidden_size // self.num_attention_heads
        check_positions(self.position_type, self._head_size, self.relative_distance, self.relative_buckets)
        shapes = {
            "relative": (2 * self.relative_distance + 1, self._head_size),
            "t5": (self.relative_buckets, self.num_attention_heads),
        }
        self.distance_table = None
        if self.position_type in shapes:
            self.distance_table = self.add_weight(
                name="distance_table",
                shape=shapes[self.position_type],
                initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            )
        self.query = self._projection("query", hidden_size, 1.0 if self.scaled else self._head_size**-0.5)
        self.key = self._projection("key", hidden_size)
        self.value = self._projection("value", hidden_size, self.initializer_gain)
        self.output_dense = self._projection("output_dense", hidden_size, self.initializer_gain)
        self.built = True

    def _projection(self, name: str, hidden_size: int, gain: float = 1.0) -> keras.layers.Dense:
        """Return a new dense layer H -> H."""
        dense = keras.layers.Dense(
            hidden_size,
            use_bias=self.use_bias,
            kernel_initializer=kernel_initializer(
                self.initialization, self.initializer_range, hidden_size, hidden_size, gain
            ),
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build((None, hidden_size))
        return dense

    def call(
        self,
        hidden: Any,
        padding_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        mask: Any = None,
        layout: TokenLayout | None = None,
    ) -> Any:
        """Return hidden states [B, T, H], or [F, H] with a layout."""
        shape = ops.shape(hidden)
        # On CPUs, one product over all tokens of the batch is faster than one product per row.
        flat = ops.reshape(hidden, (-1, shape[-1]))  # [B, T, H] -> [B*T, H]
        query, key, value = self.query(flat), self.key(flat), self.value(flat)
        if self.scaled:
            query = query * (1.0 / math.sqrt(self._head_size))
        if layout is None:
            batch, tokens = shape[:2]
        else:
            batch, tokens = ops.shape(layout.padding_mask)
            padding_mask = layout.padding_mask
            query, key, value = (layout.to_rows(part, fill=False) for part in (query, key, value))
        split = (batch, tokens, self.num_attention_heads, self._head_size)
        query, key, value = (ops.reshape(part, split) for part in (query, key, value))

        if self.position_type == "rotary":
            query, key = (rotated(part, self.rotary_base, self.rotary_scaling) for part in (query, key))

        query, key, value = (ops.transpose(part, (0, 2, 1, 3)) for part in (query, key, value))  # [B, N, T, D]
        # TensorFlow folds a transpose of the last two dimensions into the product.
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # [B, N, T, T]
        scores = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
        by_position = position_scores(
            self.position_type, self.distance_table, query, tokens, self.relative_buckets, self.relative_distance
        )
        if by_position is not None:
            scores = scores + ops.cast(by_position, scores.dtype)
        padding_mask = mask if padding_mask is None else padding_mask
        if padding_mask is not None:
            scores = scores + self._padding_scores(padding_mask, scores.dtype)
        # A single token attends to itself. Keras would warn about a softmax over one element.
        probabilities = ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)
        weights = ops.cast(self.dropout_layer(probabilities, training=training), self.compute_dtype)

        # [B, N, T, T] x [B, N, T, D] -> [B, N, T, D] -> [B, T, N, D] -> [B*T, H]
        context = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        context = ops.reshape(context, (batch, tokens, shape[-1]))
        flat = ops.reshape(context, (-1, shape[-1])) if layout is None else layout.to_flat(context)
        output = ops.reshape(self.output_dense(flat), shape)
        return (output, probabilities) if return_attention_scores else output

    def _padding_scores(self, padding_mask: Any, dtype: str) -> Any:
        """Return what to add to the scores: [B, T] -> [B, 1, 1, T]."""
        if len(padding_mask.shape) != 2:
            raise BadInputError(
                f"`padding_mask` must have the shape [batch, tokens]. Received: shape={tuple(padding_mask.shape)}. "
                "Use 1 for real tokens and 0 for padding tokens."
            )
        padding = ops.cast(ops.logical_not(ops.cast(padding_mask, "bool")), dtype)
        return ops.expand_dims(padding, (1, 2)) * _PADDING_SCORE

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_attention_heads": self.num_attention_heads,
            "dropout": self.dropout,
            "initializer_range": self.initializer_range,
            "use_bias": self.use_bias,
            "initialization": self.initialization,
            "initializer_gain": self.initializer_gain,
            "position_type": self.position_type,
            "relative_distance": self.relative_distance,
            "relative_buckets": self.relative_buckets,
            "rotary_base": self.rotary_base,
            "rotary_scaling": self.rotary_scaling,
            "scaled": self.scaled,
        }
