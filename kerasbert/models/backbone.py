"""The BERT encoder: embeddings, encoder blocks and the pooler.

For models with a task on top of it, see the other files in this folder.
"""

from typing import Any

import keras

from kerasbert.argument_checks import POSITIONS_OF_ATTENTION, POSITIONS_OF_EMBEDDINGS
from kerasbert.config import BertConfig
from kerasbert.layers import BertEmbeddings, EncoderBlock, Pooling
from kerasbert.models.flat_tokens import FlatTokens

# B batch, T tokens, H hidden size


@keras.saving.register_keras_serializable(package="kerasbert")
class BertBackbone(FlatTokens, keras.Model):
    """BERT's encoder, for any batch size and any length up to `max_position_embeddings`.

    Inputs: a dict of `token_ids`, `segment_ids` and `padding_mask` (1 at real tokens), each int32 `[B, T]`.
    Outputs: a dict of `sequence_output` `[B, T, H]` and `pooled_output` `[B, H]`. The hidden states of block i are
    `backbone.get_layer(f"encoder_block_{i}").output`.

    Args:
        vocab_size: rows of the word embedding.
        hidden_size: H, the width of the hidden states. Must be a multiple of `num_attention_heads`.
        num_hidden_layers: number of encoder blocks.
        num_attention_heads: attention heads in each block.
        intermediate_size: width of the hidden layer in each feed-forward network.
        hidden_act: activation of the feed-forward networks: "gelu_tanh", "gelu_erf" or the name of a Keras activation.
        hidden_dropout_prob: dropout rate of the embeddings and of each sublayer's output.
        attention_probs_dropout_prob: dropout rate of the attention probabilities.
        max_position_embeddings: maximum number of tokens of an input.
        type_vocab_size: number of segments.
        initializer_range: standard deviation of the truncated normal initial weights.
        layer_norm_eps: epsilon of the norms.
        norm_placement: "post", "pre", "sandwich" or "deepnorm". See `BertConfig`, as for the other variants.
        norm_type: "layer_norm" or "rms_norm".
        use_bias: whether dense layers and layer norms have biases.
        gated_feed_forward: whether the feed-forward networks have a gate.
        initialization: "fixed", "fan_in", "fan_out", "fan_average" or "fan_geometric".
        position_type: "learned", "sine", "relative", "t5", "alibi", "rotary" or "none".
        relative_distance: for "relative" and "t5", the distance from which on all distances are the same.
        relative_buckets: for "t5", the number of buckets.
        rotary_base: for "rotary", the longest wavelength divided by 2 pi.
        rotary_scaling: for "rotary", a divisor of positions.
        scaled_attention: whether attention scores are divided by the square root of the head size.
        dtype: a Keras dtype policy, e.g. "mixed_float16" or "bfloat16".
        name: the model's name.
        trainable: whether training updates the weights.

    Raises:
        BadInputError: a value is invalid, or an input is longer than `max_position_embeddings`.

    Source: google-research/bert, `modeling.py` (`BertModel`).

    Example:
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> outputs = backbone({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids})
        >>> tuple(outputs["sequence_output"].shape), tuple(outputs["pooled_output"].shape)
        ((2, 5, 128), (2, 128))
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_act: str = "gelu_tanh",
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-12,
        norm_placement: str = "post",
        norm_type: str = "layer_norm",
        use_bias: bool = True,
        gated_feed_forward: bool = False,
        initialization: str = "fixed",
        position_type: str = "learned",
        relative_distance: int = 128,
        relative_buckets: int = 32,
        rotary_base: float = 10000.0,
        rotary_scaling: float = 1.0,
        scaled_attention: bool = True,
        dtype: Any = None,
        name: str | None = None,
        trainable: bool = True,
    ):
        config = BertConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_hidden_layers=num_hidden_layers,
            num_attention_heads=num_attention_heads,
            intermediate_size=intermediate_size,
            hidden_act=hidden_act,
            hidden_dropout_prob=hidden_dropout_prob,
            attention_probs_dropout_prob=attention_probs_dropout_prob,
            max_position_embeddings=max_position_embeddings,
            type_vocab_size=type_vocab_size,
            initializer_range=initializer_range,
            layer_norm_eps=layer_norm_eps,
            norm_placement=norm_placement,
            norm_type=norm_type,
            use_bias=use_bias,
            gated_feed_forward=gated_feed_forward,
            initialization=initialization,
            position_type=position_type,
            relative_distance=relative_distance,
            relative_buckets=relative_buckets,
            rotary_base=rotary_base,
            rotary_scaling=rotary_scaling,
            scaled_attention=scaled_attention,
        )

        # === Layers ===
        embeddings = BertEmbeddings(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            max_position_embeddings=config.max_position_embeddings,
            type_vocab_size=config.type_vocab_size,
            dropout=config.hidden_dropout_prob,
            layer_norm_eps=config.layer_norm_eps,
            initializer_range=config.initializer_range,
            norm_type=config.norm_type,
            use_bias=config.use_bias,
            position_type=_one_of(POSITIONS_OF_EMBEDDINGS, config.position_type),
            dtype=dtype,
            name="embeddings",
        )
        encoder_blocks = [
            EncoderBlock(
                num_attention_heads=config.num_attention_heads,
                intermediate_size=config.intermediate_size,
                activation=config.hidden_act,
                dropout=config.hidden_dropout_prob,
                attention_dropout=config.attention_probs_dropout_prob,
                layer_norm_eps=config.layer_norm_eps,
                initializer_range=config.initializer_range,
                **_norms_of_block(config, index),
                norm_type=config.norm_type,
                use_bias=config.use_bias,
                gated_feed_forward=config.gated_feed_forward,
                initialization=config.initialization,
                position_type=_one_of(POSITIONS_OF_ATTENTION, config.position_type),
                relative_distance=config.relative_distance,
                relative_buckets=config.relative_buckets,
                rotary_base=config.rotary_base,
                rotary_scaling=config.rotary_scaling,
                scaled_attention=config.scaled_attention,
                dtype=dtype,
                name=f"encoder_block_{index}",
            )
            for index in range(config.num_hidden_layers)
        ]
        first_token = Pooling("cls", dtype=dtype, name="first_token")
        pooler = keras.layers.Dense(
            config.hidden_size,
            activation="tanh",
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=dtype,
            name="pooler",
        )

        # === Functional model ===
        inputs = token_inputs()
        hidden = embeddings(inputs["token_ids"], inputs["segment_ids"])
        for block in encoder_blocks:
            hidden = block(hidden, padding_mask=inputs["padding_mask"])
        outputs = {"sequence_output": hidden, "pooled_output": pooler(first_token(hidden))}
        super().__init__(inputs=inputs, outputs=outputs, name=name)

        # === Config ===
        for field, value in config.to_dict().items():
            setattr(self, field, value)
        self.trainable = trainable
        self.dtype_policy = keras.dtype_policies.get(embeddings.dtype_policy)
        self.embeddings = embeddings
        self.encoder_blocks = encoder_blocks
        self.pooler = pooler

    @property
    def bert_config(self) -> BertConfig:
        """The sizes and rates as a `BertConfig`."""
        return BertConfig(**{field: getattr(self, field) for field in BertConfig.__dataclass_fields__})

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **self.bert_config.to_dict(),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(
        cls, config: "BertConfig | dict[str, Any]", custom_objects: Any = None, **kwargs: Any
    ) -> "BertBackbone":
        """Create a backbone from a `BertConfig`, or from the result of `get_config`.

        Args:
            config: the sizes and rates.
            custom_objects: ignored. Keras may pass it.
            **kwargs: `dtype`, `name` and `trainable`.
        """
        values = config.to_dict() if isinstance(config, BertConfig) else config
        return cls(**{**values, **kwargs})


def _one_of(position_types: tuple[str, ...], position_type: str) -> str:
    """The kind of positions, or "none" if another part of the encoder has them."""
    return position_type if position_type in position_types else "none"


def _norms_of_block(config: BertConfig, index: int) -> dict[str, Any]:
    """The arguments of a block that depend on the number of blocks.

    DeepNorm is post-norm with a larger residual and smaller initial weights: alpha = (2N)^(1/4), beta = (8N)^(-1/4) for
    N blocks of an encoder (Wang et al. 2022, figure 2).
    """
    blocks = config.num_hidden_layers
    if config.norm_placement == "deepnorm":
        return {
            "norm_placement": "post",
            "residual_scale": (2 * blocks) ** 0.25,
            "initializer_gain": (8 * blocks) ** -0.25,
        }
    is_last = index == blocks - 1
    return {"norm_placement": config.norm_placement, "final_norm": is_last and config.norm_placement != "post"}


def token_inputs() -> dict[str, Any]:
    """Return the three symbolic inputs of a backbone, each int32 [B, T]."""
    names = ("token_ids", "segment_ids", "padding_mask")
    return {name: keras.Input(shape=(None,), dtype="int32", name=name) for name in names}
