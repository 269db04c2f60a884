"""The sizes, dropout rates and variants of a BERT, in Google's and Hugging Face's JSON formats and in our own.

The two formats ("dialects") use the same names with different meanings: "gelu" is the tanh form in Google's files and
the erf form in Hugging Face's. Neither can express the variants of the encoder: "kerasbert" is a third dialect, with
our own names only, for encoders that are not a plain BERT. All values are checked here, so an invalid one is reported
before Keras fails in the middle of a model. Models are built in `kerasbert.models`. `kerasbert.checkpoints` finds a
checkpoint's files.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from kerasbert.argument_checks import GELU_TANH, check_choice, check_positions
from kerasbert.config_dialects import (
    DIALECTS,
    OWN_DIALECT,
    activation_in,
    activation_of,
    dialect_of,
    has_name,
    read_json,
    refuse_other_architectures,
)
from kerasbert.config_fields import CHECKS, OWN_FIELDS, VARIANTS
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

__all__ = ["BertConfig"]

# name: (layers, hidden size). Heads are hidden size / 64, the feed-forward size is 4 * hidden size.
_SIZES = {
    "bert-tiny": (2, 128),
    "bert-mini": (4, 256),
    "bert-small": (4, 512),
    "bert-medium": (8, 512),
    "bert-base": (12, 768),
    "bert-large": (24, 1024),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The shape and arithmetic of a BERT encoder, with the field names of Google's and Hugging Face's JSON.

    Args:
        vocab_size: rows of the word embedding.
        hidden_size: width of the hidden states. Must be a multiple of `num_attention_heads`.
        num_hidden_layers: number of encoder blocks.
        num_attention_heads: attention heads in each block.
        intermediate_size: width of the hidden layer in each feed-forward network.
        hidden_act: "gelu_tanh" (the original BERT's since 2019), "gelu_erf" (Hugging Face's "gelu"), "relu_squared", or
            the name of a Keras activation.
        hidden_dropout_prob: dropout rate of the embeddings and of each sublayer's output, at least 0 and less than 1.
        attention_probs_dropout_prob: dropout rate of the attention probabilities, in the same range.
        max_position_embeddings: maximum number of tokens of an input.
        type_vocab_size: number of segments.
        initializer_range: standard deviation of the truncated normal initial weights.
        layer_norm_eps: epsilon of the norms.
        norm_placement: where the encoder blocks have norms. "post": after each residual, as BERT. "pre": before
            attention and feed-forward network, and after the last block. "sandwich": before and after both, and after
            the last block. "deepnorm": "post" with a larger residual and smaller initial weights, for very deep
            encoders. `EncoderBlock` has the formulas and the sources.
        norm_type: "layer_norm" or "rms_norm".
        use_bias: whether the dense layers of the encoder blocks and the encoder's layer norms have biases. Pooler and
            heads always have them.
        gated_feed_forward: whether the feed-forward networks have a gate: with `hidden_act="silu"`, SwiGLU; with a
            GELU, GEGLU.
        initialization: variance of the initial kernels in the encoder blocks: "fixed" (from `initializer_range`), or 1
            divided by "fan_in", "fan_out", "fan_average" or "fan_geometric". Embeddings, pooler and heads always use
            `initializer_range`.
        position_type: how the encoder knows the order of the tokens. "learned": a table of `max_position_embeddings`
            rows, as BERT. "sine": fixed sines. "relative", "t5", "alibi", "rotary": distances within attention, see
            `SelfAttention`. "none": not at all. All but "learned" have no weights for a position, so
            `max_position_embeddings` is only a limit, which `resize_positions` changes.
        relative_distance: for "relative" and "t5", the distance from which on all distances are the same.
        relative_buckets: for "t5", the number of buckets, a multiple of 4.
        rotary_base: for "rotary", the longest wavelength divided by 2 pi.
        rotary_scaling: for "rotary", a divisor of positions.
        scaled_attention: whether attention scores are divided by the square root of the head size. If not, the initial
            query kernels are, as in T5.

    Raises:
        BadInputError: a value is invalid. The message states the rule, the value and a fix.

    Source: google-research/bert, `modeling.py` (`BertConfig`).

    Example:
        >>> config = BertConfig.named("bert-tiny", vocab_size=8000)
        >>> config.hidden_size, config.num_attention_heads, config.intermediate_size
        (128, 2, 512)
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = GELU_TANH
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    norm_placement: str = "post"
    norm_type: str = "layer_norm"
    use_bias: bool = True
    gated_feed_forward: bool = False
    initialization: str = "fixed"
    position_type: str = "learned"
    relative_distance: int = 128
    relative_buckets: int = 32
    rotary_base: float = 10000.0
    rotary_scaling: float = 1.0
    scaled_attention: bool = True

    def __post_init__(self) -> None:
        """Check every value, and store it as a plain int, float or str."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, CHECKS[field.name](field.name, getattr(self, field.name)))
        if self.hidden_size % self.num_attention_heads:
            raise BadInputError(
                "`hidden_size` must be divisible by `num_attention_heads`. "
                f"Received: hidden_size={self.hidden_size}, num_attention_heads={self.num_attention_heads}. "
                "Use a number of heads that divides the hidden size; BERT uses hidden_size / 64."
            )
        size = self.hidden_size if self.position_type == "sine" else self.hidden_size // self.num_attention_heads
        check_positions(self.position_type, size, self.relative_distance, self.relative_buckets)

    @classmethod
    def named(cls, name: str, **overrides: Any) -> "BertConfig":
        """Return a published size.

        Args:
            name: "bert-tiny", "bert-mini", "bert-small", "bert-medium", "bert-base" or "bert-large".
            **overrides: other values for some fields, e.g. `vocab_size`.

        Raises:
            BadInputError: the name or a field is unknown, or a value is invalid.

        Example:
            >>> BertConfig.named("bert-base").num_hidden_layers
            12
        """
        check_choice("name", name, tuple(_SIZES))
        layers, hidden = _SIZES[name]
        config = cls(
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            intermediate_size=4 * hidden,
        )
        return config.replace(**overrides)

    @classmethod
    def from_json(
        cls, source: "str | os.PathLike[str] | Mapping[str, Any]", dialect: str | None = None
    ) -> "BertConfig":
        """Read Google's `bert_config.json`, Hugging Face's `config.json` or our own.

        Keys that do not concern the encoder are ignored. The variants are read from a file in any dialect. A missing
        key has the dialect's default, e.g. `type_vocab_size=16` at Google.

        Args:
            source: a path, JSON text, or the parsed dict.
            dialect: "hugging_face", "google" or "kerasbert". Defaults to "kerasbert" if that is the file's
                `model_type`, to "hugging_face" if the file has a key that only Hugging Face writes, otherwise to
                "google".

        Raises:
            BadInputError: the file does not exist, is not a JSON object, describes an architecture other than BERT, or
                contains an invalid value.

        Example:
            >>> BertConfig.from_json('{"vocab_size": 100, "hidden_act": "gelu"}').hidden_act
            'gelu_tanh'
            >>> BertConfig.from_json('{"model_type": "bert", "hidden_act": "gelu"}').hidden_act
            'gelu_erf'
        """
        values, origin = read_json(source)
        if dialect is None:
            dialect = dialect_of(values)
        check_choice("dialect", dialect, DIALECTS)
        names = {field.name for field in dataclasses.fields(cls)}
        if not names & values.keys() and "model_type" not in values:
            raise BadInputError(
                f"A BERT config must contain keys like `hidden_size`. "
                f"Received: {origin} with keys {sorted(values)[:10]}. "
                "Use the model's `config.json` or `bert_config.json`."
            )
        if dialect != OWN_DIALECT:
            refuse_other_architectures(values, origin)
        known = {name: values[name] for name in names & values.keys()}
        if dialect == "google":
            known.setdefault("type_vocab_size", 16)
        elif dialect == "hugging_face":
            known.setdefault("hidden_act", "gelu")
        try:
            if "hidden_act" in known and dialect != OWN_DIALECT:
                known["hidden_act"] = activation_of(known["hidden_act"], dialect)
            return cls(**known)
        except BadInputError as error:
            raise BadInputError(f"{origin}: {error}") from None

    def to_json(self, path: "str | os.PathLike[str] | None" = None, dialect: str | None = None) -> str:
        """Return the config as JSON text in one of the dialects, and optionally write it to a file.

        Args:
            path: a file to write to. None writes no file.
            dialect: "hugging_face", "google" or "kerasbert". By default, "hugging_face" if it can express the encoder,
                otherwise "kerasbert".

        Raises:
            BadInputError: the dialect cannot express a variant of the encoder, or has no name for the activation.

        Example:
            >>> json.loads(BertConfig(hidden_act="gelu_erf").to_json())["hidden_act"]
            'gelu'
        """
        dialect = self.dialect if dialect is None else check_choice("dialect", dialect, DIALECTS)
        values = self.to_dict()
        if dialect == OWN_DIALECT:
            values["model_type"] = OWN_DIALECT
        else:
            self.check_plain(dialect)
            values["hidden_act"] = activation_in(dialect, self.hidden_act)
            values = {name: value for name, value in values.items() if not self._is_left_out(name, value)}
        if dialect == "hugging_face":
            values |= {"model_type": "bert", "position_embedding_type": "absolute"}
        elif dialect == "google" and self.layer_norm_eps == 1e-12:
            del values["layer_norm_eps"]  # Google's code has no such key, and always uses 1e-12.
        text = json.dumps(values, indent=2, sort_keys=True) + "\n"
        if path is not None:
            with write_aside(path) as aside:
                aside.write_text(text, encoding="utf-8")
        return text

    @property
    def variants(self) -> dict[str, Any]:
        """The fields that make the encoder another one than a plain BERT of the same sizes, with their values."""
        return {name: getattr(self, name) for name in VARIANTS if getattr(self, name) != getattr(BertConfig, name)}

    @property
    def dialect(self) -> str:
        """The dialect that can express the encoder: "hugging_face" if possible, otherwise "kerasbert"."""
        is_plain = not self.variants and has_name("hugging_face", self.hidden_act)
        return "hugging_face" if is_plain else OWN_DIALECT

    def check_plain(self, format: str) -> None:
        """Check that the encoder is a plain BERT, for a format that cannot express variants.

        Args:
            format: the format's name, for the message.

        Raises:
            BadInputError: the encoder has variants.
        """
        if self.variants:
            received = ", ".join(f"{name}={value!r}" for name, value in self.variants.items())
            raise BadInputError(
                f"The encoder must be a plain BERT in the format {format!r}, which cannot express variants. "
                f"Received: {received}. Use the format 'kerasbert'."
            )

    @staticmethod
    def _is_left_out(name: str, value: Any) -> bool:
        """Whether a field is not written in other libraries' dialects, because it has its default there."""
        return name in (*VARIANTS, *OWN_FIELDS) and value == getattr(BertConfig, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a new dict, such that `BertConfig(**config.to_dict()) == config`."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> "BertConfig":
        """Return a copy with some fields changed.

        Args:
            **changes: new values by field.

        Raises:
            BadInputError: a field is unknown or a value is invalid.
        """
        names = [field.name for field in dataclasses.fields(self)]
        unknown = sorted(changes.keys() - set(names))
        if unknown:
            raise BadInputError(
                f"Every name must be a field of `BertConfig`. Received: {unknown}. The fields are: {names}."
            )
        return dataclasses.replace(self, **changes)
