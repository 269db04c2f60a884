"""Turns token ids into hidden states: word + position + segment, then a norm and dropout.

For turning text into ids, see `kerasbert.preprocessing`.
"""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import (
    NORM_TYPES,
    POSITIONS_OF_EMBEDDINGS,
    check_choice,
    check_flag,
    check_positions,
    check_positive_integer,
    check_positive_number,
    check_rate,
)
from kerasbert.errors import BadInputError
from kerasbert.layers.norms import norm_layer
from kerasbert.layers.positions import sines
from kerasbert.layers.token_layout import TokenLayout

# B batch, T tokens, H hidden size


@keras.saving.register_keras_serializable(package="kerasbert")
class BertEmbeddings(keras.layers.Layer):
    """Sum of word, position and segment embeddings, with layer norm and dropout.

    Args:
        vocab_size: rows of the word embedding.
        hidden_size: H, the width of the hidden states.
        max_position_embeddings: maximum number of tokens of an input.
        type_vocab_size: number of segments.
        dropout: dropout rate after the layer norm.
        layer_norm_eps: epsilon of the layer norm.
        initializer_range: standard deviation of the truncated normal initial weights.
        norm_type: "layer_norm" or "rms_norm".
        use_bias: whether the layer norm has a bias.
        position_type: "learned" (a table), "sine" (Vaswani et al. 2017, multiplied by `initializer_range` so that it
            does not drown the initial word embeddings; the hidden size must be even), or "none".

    Call arguments:
        token_ids: int32 `[B, T]`.
        segment_ids: int32 `[B, T]`. Defaults to 0 everywhere.
        layout: a `TokenLayout`. With it, only the tokens of its flat list are embedded.

    Returns:
        Hidden states `[B, T, H]`, or `[F, H]` with a layout.

    Raises:
        BadInputError: an argument is invalid, or the input is longer than `max_position_embeddings`. If the length is
            only known when a TensorFlow graph runs, it raises an `InvalidArgumentError` with the same message.

    Source: google-research/bert, `modeling.py` (`embedding_lookup`, `embedding_postprocessor`).

    Example:
        >>> layer = BertEmbeddings(vocab_size=100, hidden_size=8)
        >>> tuple(layer(keras.ops.ones((2, 5), dtype="int32")).shape)
        (2, 5, 8)
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        dropout: float = 0.1,
        layer_norm_eps: float = 1e-12,
        initializer_range: float = 0.02,
        norm_type: str = "layer_norm",
        use_bias: bool = True,
        position_type: str = "learned",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocab_size = check_positive_integer("vocab_size", vocab_size)
        self.hidden_size = check_positive_integer("hidden_size", hidden_size)
        self.max_position_embeddings = check_positive_integer("max_position_embeddings", max_position_embeddings)
        self.type_vocab_size = check_positive_integer("type_vocab_size", type_vocab_size)
        self.dropout = check_rate("dropout", dropout)
        self.layer_norm_eps = check_positive_number("layer_norm_eps", layer_norm_eps)
        self.initializer_range = check_positive_number("initializer_range", initializer_range)
        self.norm_type = check_choice("norm_type", norm_type, NORM_TYPES)
        self.use_bias = check_flag("use_bias", use_bias)
        self.position_type = check_choice("position_type", position_type, POSITIONS_OF_EMBEDDINGS)
        check_positions(self.position_type, self.hidden_size)
        self.layer_norm = norm_layer(
            self.norm_type, self.layer_norm_eps, self.use_bias, self.dtype_policy, "layer_norm"
        )
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, token_ids_shape: Any = None, segment_ids_shape: Any = None) -> None:
        """Create the tables and the norm."""
        self.word_embeddings = self._table("word_embeddings", self.vocab_size)
        is_learned = self.position_type == "learned"
        self.position_embeddings = (
            self._table("position_embeddings", self.max_position_embeddings) if is_learned else None
        )
        self.segment_embeddings = self._table("segment_embeddings", self.type_vocab_size)
        self.layer_norm.build((None, None, self.hidden_size))
        self.built = True

    def _table(self, name: str, rows: int) -> keras.Variable:
        """Return a new embedding table [rows, H]."""
        return self.add_weight(
            name=name,
            shape=(rows, self.hidden_size),
            initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
        )

    def call(
        self,
        token_ids: Any,
        segment_ids: Any = None,
        training: bool | None = None,
        layout: TokenLayout | None = None,
    ) -> Any:
        """Return hidden states [B, T, H] for token ids [B, T], or [F, H] with a layout."""
        length = checked_length(token_ids, self.max_position_embeddings)
        positions = self._positions(length)
        if layout is not None:
            positions = None if positions is None else ops.take(positions, layout.positions, axis=0)  # [T, H] -> [F, H]
            token_ids = layout.to_flat(token_ids)
            segment_ids = None if segment_ids is None else layout.to_flat(segment_ids)
        # [V, H] indexed by [B, T] -> [B, T, H]; positions [T, H] are the same for all rows of the batch
        hidden = ops.take(self.word_embeddings, token_ids, axis=0)
        first = ops.convert_to_tensor(self.segment_embeddings)[0]
        if segment_ids is not None:
            hidden = hidden if positions is None else hidden + positions
            hidden = hidden + ops.take(self.segment_embeddings, segment_ids, axis=0)
        else:
            hidden = hidden + (first if positions is None else positions + first)
        return self.dropout_layer(self.layer_norm(hidden), training=training)

    def _positions(self, length: Any) -> Any:
        """Return what is added for the positions, [T, H], or None."""
        if self.position_type == "sine":
            return ops.cast(sines(length, self.hidden_size) * self.initializer_range, self.compute_dtype)
        if self.position_embeddings is None:
            return None
        return ops.slice(ops.convert_to_tensor(self.position_embeddings), (0, 0), (length, self.hidden_size))

    def compute_output_spec(self, token_ids: Any, segment_ids: Any = None, **kwargs: Any) -> Any:
        """Return [B, T, H] for [B, T] without tracing `call`: JAX cannot slice a table at an unknown length."""
        checked_length(token_ids, self.max_position_embeddings)
        return keras.KerasTensor((*token_ids.shape, self.hidden_size), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "max_position_embeddings": self.max_position_embeddings,
            "type_vocab_size": self.type_vocab_size,
            "dropout": self.dropout,
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
            "norm_type": self.norm_type,
            "use_bias": self.use_bias,
            "position_type": self.position_type,
        }


def checked_length(token_ids: Any, limit: int) -> Any:
    """Return the length T of the input, after checking that the position table is long enough.

    In a TensorFlow graph, T may only be known at run time, where a longer input would fail with a message about
    broadcasting. `keras.ops` has no run-time check, so this is the only place that calls TensorFlow.
    """
    if len(token_ids.shape) != 2:
        raise BadInputError(
            f"`token_ids` must have the shape [batch, tokens]. Received: shape={tuple(token_ids.shape)}. "
            "Add a batch dimension, e.g. `token_ids[None]`."
        )
    rule = (
        f"The input must not be longer than the position table, `max_position_embeddings={limit}` tokens. "
        "Truncate the input (`sequence_length` of the preprocessing), or enlarge the table with "
        "`kerasbert.models.resize_positions`."
    )
    length = ops.shape(token_ids)[1]
    if isinstance(length, int):
        if length > limit:
            raise BadInputError(f"{rule} Received: {length} tokens.")
    elif length is not None and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # The slice must wait for the check, otherwise its own error comes first.
        with tf.control_dependencies([tf.debugging.assert_less_equal(length, limit, message=rule, summarize=1)]):
            length = tf.identity(length)
    return length
