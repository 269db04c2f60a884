"""One encoder block: self-attention and feed-forward, each with dropout, residual and norm, in one of several orders.

Which arguments make up DeepNorm, and which block has the final norm, is decided in `kerasbert.models.backbone`.
"""

from typing import Any

import keras

from kerasbert.argument_checks import (
    INITIALIZATIONS,
    NORM_PLACEMENTS,
    NORM_TYPES,
    POSITIONS_OF_ATTENTION,
    check_choice,
    check_flag,
    check_positive_integer,
    check_positive_number,
    check_rate,
)
from kerasbert.layers.activations import Activation, activation_function, restored_activation, serialized_activation
from kerasbert.layers.attention import SelfAttention
from kerasbert.layers.feed_forward import FeedForward
from kerasbert.layers.norms import norm_layer
from kerasbert.layers.recomputation import recomputed
from kerasbert.layers.token_layout import TokenLayout

# B batch, T tokens, F tokens of a flat list, H hidden size, N heads


@keras.saving.register_keras_serializable(package="kerasbert")
class EncoderBlock(keras.layers.Layer):
    """BERT's transformer encoder block.

    With x the input of a sublayer f (attention, then feed-forward), `norm_placement` computes:

    * "post": `norm(x * residual_scale + f(x))`, as BERT.
    * "pre": `x * residual_scale + f(norm(x))`. The residual path is the identity, so deep encoders train without
      warm-up. The last block needs `final_norm`.
    * "sandwich": `x * residual_scale + norm(f(norm(x)))`, which also bounds what a sublayer adds.

    Args:
        num_attention_heads: number of heads. Must divide the hidden size.
        intermediate_size: width of the hidden layer in the feed-forward network.
        activation: "gelu_tanh", "gelu_erf", "relu_squared", the name of a Keras activation, or a function.
        dropout: dropout rate of the outputs of attention and feed-forward network, before each residual.
        attention_dropout: dropout rate of the attention probabilities.
        layer_norm_eps: epsilon of the norms.
        initializer_range: standard deviation of the truncated normal initial weights.
        norm_placement: "post", "pre" or "sandwich".
        norm_type: "layer_norm" or "rms_norm".
        use_bias: whether dense layers and layer norms have biases.
        gated_feed_forward: whether the feed-forward network has a gate. See `FeedForward`.
        initialization: variance of the initial kernels: "fixed" (from `initializer_range`), or 1 divided by "fan_in",
            "fan_out", "fan_average" or "fan_geometric" (number of inputs, of outputs, their mean, their geometric
            mean).
        residual_scale: a factor of the residual: DeepNorm's alpha.
        initializer_gain: a factor of the standard deviation of the initial kernels of value, attention output and
            feed-forward network: DeepNorm's beta.
        final_norm: whether the block's output is normed once more: for the last block of "pre" and "sandwich".
        position_type: "none", "relative", "t5", "alibi" or "rotary". See `SelfAttention`, as for the next four.
        relative_distance: the distance from which on all distances are the same.
        relative_buckets: number of buckets for "t5".
        rotary_base: the longest wavelength divided by 2 pi.
        rotary_scaling: a divisor of positions.
        scaled_attention: whether scores are divided by the square root of the head size. See `SelfAttention`.

    Call arguments:
        hidden: hidden states `[B, T, H]`.
        padding_mask: `[B, T]`, 0 at padding tokens and another value at real tokens. See `SelfAttention`.
        return_attention_scores: also return the attention probabilities `[B, N, T, T]`.
        layout: the `TokenLayout` of hidden states that are a flat list `[F, H]`. It has the padding mask.

    Returns:
        Hidden states of the same shape; with `return_attention_scores`, a pair of these and the probabilities.

    Raises:
        BadInputError: an argument is invalid.

    Source: google-research/bert, `modeling.py` (`transformer_model`). Xiong et al. 2020, "On layer normalization in the
    transformer architecture" ("pre"); Ding et al. 2021, "CogView", section 2.4 ("sandwich"); Wang et al. 2022,
    "DeepNet: scaling transformers to 1,000 layers" (the factors).

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
        norm_placement: str = "post",
        norm_type: str = "layer_norm",
        use_bias: bool = True,
        gated_feed_forward: bool = False,
        initialization: str = "fixed",
        residual_scale: float = 1.0,
        initializer_gain: float = 1.0,
        final_norm: bool = False,
        position_type: str = "none",
        relative_distance: int = 128,
        relative_buckets: int = 32,
        rotary_base: float = 10000.0,
        rotary_scaling: float = 1.0,
        scaled_attention: bool = True,
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
        self.norm_placement = check_choice("norm_placement", norm_placement, NORM_PLACEMENTS)
        self.norm_type = check_choice("norm_type", norm_type, NORM_TYPES)
        self.use_bias = check_flag("use_bias", use_bias)
        self.gated_feed_forward = check_flag("gated_feed_forward", gated_feed_forward)
        self.initialization = check_choice("initialization", initialization, INITIALIZATIONS)
        self.residual_scale = check_positive_number("residual_scale", residual_scale)
        self.initializer_gain = check_positive_number("initializer_gain", initializer_gain)
        self.final_norm = check_flag("final_norm", final_norm)
        self.position_type = check_choice("position_type", position_type, POSITIONS_OF_ATTENTION)
        self.relative_distance = check_positive_integer("relative_distance", relative_distance)
        self.relative_buckets = check_positive_integer("relative_buckets", relative_buckets)
        self.rotary_base = check_positive_number("rotary_base", rotary_base)
        self.rotary_scaling = check_positive_number("rotary_scaling", rotary_scaling)
        self.scaled_attention = check_flag("scaled_attention", scaled_attention)
        self.supports_masking = True
        # Whether training computes the block again for its gradients. Not a part of the config: it changes no result.
        self.recomputes = False
        shared = {
            "initializer_range": self.initializer_range,
            "use_bias": self.use_bias,
            "initialization": self.initialization,
            "initializer_gain": self.initializer_gain,
            "dtype": self.dtype_policy,
        }
        has_input_norms, has_output_norms = self.norm_placement != "post", self.norm_placement != "pre"
        self.attention_input_norm = self._norm("attention_input_norm") if has_input_norms else None
        self.attention = SelfAttention(
            self.num_attention_heads,
            self.attention_dropout,
            position_type=self.position_type,
            relative_distance=self.relative_distance,
            relative_buckets=self.relative_buckets,
            rotary_base=self.rotary_base,
            rotary_scaling=self.rotary_scaling,
            scaled=self.scaled_attention,
            name="attention",
            **shared,
        )
        self.attention_norm = self._norm("attention_norm") if has_output_norms else None
        self.feed_forward_input_norm = self._norm("feed_forward_input_norm") if has_input_norms else None
        self.feed_forward = FeedForward(
            self.intermediate_size, self.activation, gated=self.gated_feed_forward, name="feed_forward", **shared
        )
        self.output_norm = self._norm("output_norm") if has_output_norms else None
        self.last_norm = self._norm("last_norm") if self.final_norm else None
        self.attention_output_dropout = self._dropout("attention_output_dropout")
        self.feed_forward_dropout = self._dropout("feed_forward_dropout")

    def _norm(self, name: str) -> keras.layers.Layer:
        """Return a new norm."""
        return norm_layer(self.norm_type, self.layer_norm_eps, self.use_bias, self.dtype_policy, name)

    def _dropout(self, name: str) -> keras.layers.Dropout:
        """Return a new dropout layer for the output of a sublayer."""
        return keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name=name)

    def build(self, hidden_shape: Any) -> None:
        """Build the sublayers, whose inputs all have the shape of the block's input."""
        attention = (self.attention_input_norm, self.attention, self.attention_norm)
        feed_forward = (self.feed_forward_input_norm, self.feed_forward, self.output_norm)
        for layer in (*attention, *feed_forward, self.last_norm):
            if layer is not None:
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
            _normed(self.attention_input_norm, hidden),
            padding_mask,
            return_attention_scores=True,
            training=training,
            layout=layout,
        )
        hidden = self._added(hidden, attended, self.attention_norm, self.attention_output_dropout, training)
        widened = self.feed_forward(_normed(self.feed_forward_input_norm, hidden))
        hidden = self._added(hidden, widened, self.output_norm, self.feed_forward_dropout, training)
        return _normed(self.last_norm, hidden), scores

    def _added(self, hidden: Any, output: Any, norm: Any, dropout: keras.layers.Dropout, training: bool | None) -> Any:
        """Return the residual `hidden` with the output of a sublayer."""
        if self.residual_scale != 1.0:
            hidden = hidden * self.residual_scale
        if self.norm_placement == "post":
            return norm(hidden + dropout(output, training=training))
        return hidden + dropout(_normed(norm, output), training=training)

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
            "norm_placement": self.norm_placement,
            "norm_type": self.norm_type,
            "use_bias": self.use_bias,
            "gated_feed_forward": self.gated_feed_forward,
            "initialization": self.initialization,
            "residual_scale": self.residual_scale,
            "initializer_gain": self.initializer_gain,
            "final_norm": self.final_norm,
            "position_type": self.position_type,
            "relative_distance": self.relative_distance,
            "relative_buckets": self.relative_buckets,
            "rotary_base": self.rotary_base,
            "rotary_scaling": self.rotary_scaling,
            "scaled_attention": self.scaled_attention,
        }


def _normed(norm: keras.layers.Layer | None, hidden: Any) -> Any:
    """Return the normed hidden states, or the same ones where the block has no norm."""
    return hidden if norm is None else norm(hidden)
