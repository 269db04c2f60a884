"""One encoder block: self-attention and feed-forward, each followed by dropout, residual and layer norm (post-norm)."""

from typing import Any

import keras

from kerasbert.argument_checks import check_positive_integer, check_positive_number, check_rate
from kerasbert.layers.activations import Activation, activation_function, restored_activation, serialized_activation
from kerasbert.layers.attention import SelfAttention
from kerasbert.layers.feed_forward import FeedForward
from kerasbert.layers.recomputation import recomputed
from kerasbert.layers.token_layout import TokenLayout

# B batch, T tokens, F tokens of a flat list, H hidden size, N heads


@keras.saving.register_keras_serializable(package="kerasbert")
class EncoderBlock(keras.layers.Layer):
    """BERT's transformer encoder block.

    Args:
        num_attention_heads: number of heads. Must divide the hidden size.
        intermediate_size: width of the hidden layer in the feed-forward network.
        activation: "gelu_tanh", "gelu_erf", the name of a Keras activation, or a function.
        dropout: dropout rate of the outputs of attention and feed-forward network, before each residual.
        attention_dropout: dropout rate of the attention probabilities.
        layer_norm_eps: epsilon of the layer norms.
        initializer_range: standard deviation of the truncated normal initial weights.

    Call arguments:
        hidden: hidden states `[B, T, H]`.
        padding_mask: `[B, T]`, 0 at padding tokens and another value at real tokens. See `SelfAttention`.
        return_attention_scores: also return the attention probabilities `[B, N, T, T]`.
        layout: the `TokenLayout` of hidden states that are a flat list `[F, H]`. It has the padding mask.

    Returns:
        Hidden states of the same shape; with `return_attention_scores`, a pair of these and the probabilities.

    Raises:
        BadInputError: an argument is invalid.

    Source: google-research/bert, `modeling.py` (`transformer_model`).

    Example:
        >>> block = EncoderBlock(num_attention_heads=2, intermediate_size=32)
        >>> tuple(block(keras.ops.ones((1, 3, 8))).shape)
        (1, 3, 8)
    """

    def __init__(
        self,
        num_attention_heads: int,
        intermediate_size: int,
        activation: Activation = "gelu_tanh",
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        layer_norm_eps: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_attention_heads = check_positive_integer("num_attention_heads", num_attention_heads)
        self.intermediate_size = check_positive_integer("intermediate_size", intermediate_size)
        self.activation = restored_activation(activation)
        activation_function(self.activation)  # raises for an unknown name here, rather than in `build`
        self.dropout = check_rate("dropout", dropout)
        self.attention_dropout = check_rate("attention_dropout", attention_dropout)
        self.layer_norm_eps = check_positive_number("layer_norm_eps", layer_norm_eps)
        self.initializer_range = check_positive_number("initializer_range", initializer_range)
        self.supports_masking = True
        # Whether training computes the block again for its gradients. Not a part of the config: it changes no result.
        self.recomputes = False
        policy = self.dtype_policy
        self.attention = SelfAttention(
            self.num_attention_heads, self.attention_dropout, self.initializer_range, dtype=policy, name="attention"
        )
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_eps, dtype=policy, name="attention_norm"
        )
        self.feed_forward = FeedForward(
            self.intermediate_size, self.activation, self.initializer_range, dtype=policy, name="feed_forward"
        )
        self.output_norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_eps, dtype=policy, name="output_norm"
        )
        self.attention_output_dropout = keras.layers.Dropout(
            self.dropout, dtype=policy, name="attention_output_dropout"
        )
        self.feed_forward_dropout = keras.layers.Dropout(self.dropout, dtype=policy, name="feed_forward_dropout")

    def build(self, hidden_shape: Any) -> None:
        """Build the sublayers, whose inputs all have the shape of the block's input."""
        for layer in (self.attention, self.attention_norm, self.feed_forward, self.output_norm):
            layer.build(hidden_shape)
        self.built = True

    def call(
        self,
        hidden: Any,
        padding_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        mask: Any = None,
        layout: TokenLayout | None = None,
    ) -> Any:
        """Return hidden states of the same shape: [B, T, H], or [F, H] with a layout."""
        padding_mask = mask if padding_mask is None else padding_mask
        if self.recomputes and training and not return_attention_scores:
            return recomputed(self, lambda hidden: self._run(hidden, padding_mask, training, layout)[0], hidden)
        hidden, scores = self._run(hidden, padding_mask, training, layout)
        return (hidden, scores) if return_attention_scores else hidden

    def _run(self, hidden: Any, padding_mask: Any, training: bool | None, layout: TokenLayout | None) -> Any:
        """Return hidden states and attention probabilities."""
        attended, scores = self.attention(
            hidden, padding_mask, return_attention_scores=True, training=training, layout=layout
        )
        attended = self.attention_output_dropout(attended, training=training)
        hidden = self.attention_norm(hidden + attended)
        widened = self.feed_forward_dropout(self.feed_forward(hidden), training=training)
        return self.output_norm(hidden + widened), scores

    def compute_output_spec(
        self, hidden: Any, padding_mask: Any = None, return_attention_scores: bool = False, **kwargs: Any
    ) -> Any:
        """Return shapes and dtypes without tracing `call`, which halves the time to build a deep model."""
        output = keras.KerasTensor(hidden.shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return output
        batch, tokens, _ = hidden.shape
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        return output, keras.KerasTensor((batch, self.num_attention_heads, tokens, tokens), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_attention_heads": self.num_attention_heads,
            "intermediate_size": self.intermediate_size,
            "activation": serialized_activation(self.activation),
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
        }
