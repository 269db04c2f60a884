"""The sizes and dropout rates of a BERT, in Google's and Hugging Face's JSON formats.

The two formats ("dialects") use the same names with different meanings: "gelu" is the tanh form in Google's files and
the erf form in Hugging Face's. All values are checked here, so an invalid one is reported before Keras fails in the
middle of a model. Models are built in `kerasbert.models`. `kerasbert.checkpoints` finds a checkpoint's files.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.argument_checks import (
    GELU_ERF,
    GELU_TANH,
    check_activation,
    check_choice,
    check_positive_integer,
    check_positive_number,
    check_rate,
)
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

__all__ = ["BertConfig"]

_DIALECTS = ("hugging_face", "google")
# Keys that only Hugging Face writes.
_HUGGING_FACE_KEYS = ("model_type", "architectures", "transformers_version", "_name_or_path")

# Dialect -> its activation names -> our names. If several names have the same meaning, the first one is written.
_ACTIVATIONS_READ = {
    "hugging_face": {
        "gelu": GELU_ERF,
        "gelu_python": GELU_ERF,
        "gelu_new": GELU_TANH,
        "gelu_pytorch_tanh": GELU_TANH,
        "gelu_fast": GELU_TANH,
        "gelu_accurate": GELU_TANH,
        "relu": "relu",
        "relu6": "relu6",
        "silu": "silu",
        "swish": "silu",
        "mish": "mish",
        "sigmoid": "sigmoid",
        "tanh": "tanh",
        "linear": "linear",
    },
    "google": {"gelu": GELU_TANH, "relu": "relu", "tanh": "tanh", "linear": "linear"},
}

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
        hidden_act: "gelu_tanh" (the original BERT's since 2019), "gelu_erf" (Hugging Face's "gelu"), or the name of a
            Keras activation.
        hidden_dropout_prob: dropout rate of the embeddings and of each sublayer's output, at least 0 and less than 1.
        attention_probs_dropout_prob: dropout rate of the attention probabilities, in the same range.
        max_position_embeddings: maximum number of tokens of an input.
        type_vocab_size: number of segments.
        initializer_range: standard deviation of the truncated normal initial weights.
        layer_norm_eps: epsilon of the layer norms.

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

    def __post_init__(self) -> None:
        """Check every value, and store it as a plain int, float or str."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _CHECKS[field.name](field.name, getattr(self, field.name)))
        if self.hidden_size % self.num_attention_heads:
            raise BadInputError(
                "`hidden_size` must be divisible by `num_attention_heads`. "
                f"Received: hidden_size={self.hidden_size}, num_attention_heads={self.num_attention_heads}. "
                "Use a number of heads that divides the hidden size; BERT uses hidden_size / 64."
            )

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
        """Read Google's `bert_config.json` or Hugging Face's `config.json`.

        Keys that do not concern the encoder are ignored. A missing key has the dialect's default, e.g.
        `type_vocab_size=16` at Google.

        Args:
            source: a path, JSON text, or the parsed dict.
            dialect: "hugging_face" or "google". Defaults to "hugging_face" if the file has a key that only Hugging Face
                writes, otherwise to "google".

        Raises:
            BadInputError: the file does not exist, is not a JSON object, describes an architecture other than BERT, or
                contains an invalid value.

        Example:
            >>> BertConfig.from_json('{"vocab_size": 100, "hidden_act": "gelu"}').hidden_act
            'gelu_tanh'
            >>> BertConfig.from_json('{"model_type": "bert", "hidden_act": "gelu"}').hidden_act
            'gelu_erf'
        """
        values, origin = _read_json(source)
        if dialect is None:
            dialect = "hugging_face" if any(key in values for key in _HUGGING_FACE_KEYS) else "google"
        check_choice("dialect", dialect, _DIALECTS)
        names = {field.name for field in dataclasses.fields(cls)}
        if not names & values.keys() and "model_type" not in values:
            raise BadInputError(
                f"A BERT config must contain keys like `hidden_size`. "
                f"Received: {origin} with keys {sorted(values)[:10]}. "
                "Use the model's `config.json` or `bert_config.json`."
            )
        _refuse_other_architectures(values, origin)
        known = {name: values[name] for name in names & values.keys()}
        if dialect == "google":
            known.setdefault("type_vocab_size", 16)
        else:
            known.setdefault("hidden_act", "gelu")
        try:
            if "hidden_act" in known:
                known["hidden_act"] = _activation_of(known["hidden_act"], dialect)
            return cls(**known)
        except BadInputError as error:
            raise BadInputError(f"{origin}: {error}") from None

    def to_json(self, path: "str | os.PathLike[str] | None" = None, dialect: str = "hugging_face") -> str:
        """Return the config as JSON text in one of the two dialects, and optionally write it to a file.

        Args:
            path: a file to write to. None writes no file.
            dialect: "hugging_face" or "google".

        Raises:
            BadInputError: the dialect has no name for the activation.

        Example:
            >>> json.loads(BertConfig(hidden_act="gelu_erf").to_json())["hidden_act"]
            'gelu'
        """
        check_choice("dialect", dialect, _DIALECTS)
        values = self.to_dict()
        values["hidden_act"] = self._activation_in(dialect)
        if dialect == "hugging_face":
            values |= {"model_type": "bert", "position_embedding_type": "absolute"}
        elif self.layer_norm_eps == 1e-12:
            del values["layer_norm_eps"]  # Google's code has no such key, and always uses 1e-12.
        text = json.dumps(values, indent=2, sort_keys=True) + "\n"
        if path is not None:
            with write_aside(path) as aside:
                aside.write_text(text, encoding="utf-8")
        return text

    def _activation_in(self, dialect: str) -> str:
        """Return the dialect's name for `hidden_act`."""
        for theirs, ours in _ACTIVATIONS_READ[dialect].items():
            if ours == self.hidden_act:
                return theirs
        if dialect == "google" and self.hidden_act == GELU_ERF:
            return GELU_ERF  # Google's reader refuses this name, instead of silently computing the tanh form.
        raise BadInputError(
            f"`hidden_act` must be one of {sorted(set(_ACTIVATIONS_READ[dialect].values()))} to be written in the "
            f"{dialect} dialect. Received: hidden_act={self.hidden_act!r}. "
            "Save such a model with `model.save('NAME.keras')`."
        )

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


_CHECKS = {
    "vocab_size": check_positive_integer,
    "hidden_size": check_positive_integer,
    "num_hidden_layers": check_positive_integer,
    "num_attention_heads": check_positive_integer,
    "intermediate_size": check_positive_integer,
    "hidden_act": check_activation,
    "hidden_dropout_prob": check_rate,
    "attention_probs_dropout_prob": check_rate,
    "max_position_embeddings": check_positive_integer,
    "type_vocab_size": check_positive_integer,
    "initializer_range": check_positive_number,
    "layer_norm_eps": check_positive_number,
}


def _activation_of(name: Any, dialect: str) -> Any:
    """Return our name for a dialect's activation. Values that are not names are left for the config to refuse."""
    table = _ACTIVATIONS_READ[dialect]
    if not isinstance(name, str) or name in (GELU_TANH, GELU_ERF):
        return name
    if name not in table and dialect == "hugging_face":
        # Some of Hugging Face's names mean another function in Keras, e.g. "leaky_relu" with another slope.
        raise BadInputError(
            f"`hidden_act` must be one of {sorted(table)} in a Hugging Face config. Received: hidden_act={name!r}. "
            "Use a checkpoint with one of these activations."
        )
    return table.get(name, name)


def _read_json(source: Any) -> tuple[dict[str, Any], str]:
    """Return the parsed object, and a name for it in messages."""
    if isinstance(source, Mapping):
        return dict(source), "the given config"
    if isinstance(source, str) and source.lstrip().startswith("{"):
        text, origin = source, "the given JSON text"
    else:
        origin = str(source)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(
                f"The config must be a readable JSON file. Received: {origin} ({error}). Check the path."
            ) from error
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInputError(
            f"The config must be JSON. Received: {origin} ({error}). Correct the file or copy it again."
        ) from error
    if not isinstance(values, dict):
        raise BadInputError(
            f"The config must be a JSON object. Received: {origin} with a {type(values).__name__}. "
            "Use the model's `config.json` or `bert_config.json`."
        )
    return values, origin


def _refuse_other_architectures(values: Mapping[str, Any], origin: str) -> None:
    """Raise an error if the config describes a model other than BERT with the same field names."""
    architectures = values.get("architectures") or ["BertModel"]
    refused = {
        "model_type": values.get("model_type", "bert") != "bert",
        "architectures": "model_type" not in values and not any(str(name).startswith("Bert") for name in architectures),
        "position_embedding_type": values.get("position_embedding_type", "absolute") not in ("absolute", None),
        "is_decoder": bool(values.get("is_decoder")),
        "add_cross_attention": bool(values.get("add_cross_attention")),
        # ALBERT's and ELECTRA's factorized word embedding.
        "embedding_size": values.get("embedding_size", values.get("hidden_size")) != values.get("hidden_size"),
    }
    for key, is_refused in refused.items():
        if is_refused:
            raise BadInputError(
                f"The config must describe a BERT encoder: model_type 'bert', absolute positions, no decoder. "
                f"Received: {origin} with {key}={values[key]!r}. Use a BERT checkpoint instead of this one."
            )
