"""The sizes and rates of one BERT: checked once, read from and written to Google's and Hugging Face's JSON.

Why it exists: the two dialects use the same words with different meanings ("gelu" is the tanh form at Google and the
erf form at Hugging Face), and an impossible value should be refused here, before Keras meets it in the middle of a model.
Leaves building to `kerasbert.models`, and finding a checkpoint's files to `kerasbert.checkpoints`. Imports no Keras.
"""

import dataclasses
import json
import math
import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

__all__ = ["BertConfig", "check_activation", "check_positive_integer", "check_positive_number", "check_rate"]

# Names by which `BertConfig` and the layers know the two forms of GELU. A bare "gelu" is refused in a config.
GELU_TANH = "gelu_tanh"
GELU_ERF = "gelu_erf"

_DIALECTS = ("hugging_face", "google")
# Only Hugging Face writes these.
_HUGGING_FACE_KEYS = ("model_type", "architectures", "transformers_version", "_name_or_path")

# Dialect -> its activation names -> ours. The first name with a given meaning is the one that is written.
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
    """Everything that fixes a BERT encoder's shape and arithmetic, in the words of Google's and Hugging Face's JSON.

    Args:
        vocab_size: rows of the word embedding.
        hidden_size: width of the hidden states. A multiple of `num_attention_heads`.
        num_hidden_layers: encoder blocks.
        num_attention_heads: attention heads in each block.
        intermediate_size: width inside the feed-forward part.
        hidden_act: "gelu_tanh" (the original since 2019), "gelu_erf" (Hugging Face's "gelu"), or a Keras activation's name.
        hidden_dropout_prob: dropout rate of embeddings and sublayer outputs, from 0 up to but not including 1.
        attention_probs_dropout_prob: dropout rate of attention probabilities, in the same range.
        max_position_embeddings: longest input, in tokens.
        type_vocab_size: number of segments.
        initializer_range: standard deviation of the truncated normal initial weights.
        layer_norm_eps: added to the variance in layer norms.

    Raises:
        BadInputError: a value is impossible. The message gives the rule, what came and the remedy.

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
        """Checks every value and stores it as a plain int, float or str."""
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
        """Returns a published size: "bert-tiny", "-mini", "-small", "-medium", "-base" or "-large".

        Args:
            name: one of those names.
            **overrides: fields to set to other values, such as `vocab_size`.

        Raises:
            BadInputError: the name or a field is unknown, or a value is impossible.
        """
        if name not in _SIZES:
            raise BadInputError(f"`name` must be one of {sorted(_SIZES)}. Received: name={name!r}. Choose one of them.")
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
        """Reads Google's `bert_config.json` or Hugging Face's `config.json`.

        Keys that say nothing about the encoder are passed over. A missing key takes the value that the dialect gives
        it, such as `type_vocab_size=16` at Google.

        Args:
            source: a path, JSON text, or the parsed dict.
            dialect: "hugging_face" or "google"; by default Hugging Face if a key that only it writes is there.

        Raises:
            BadInputError: no such file, no JSON object, another architecture than BERT, or an impossible value.

        Example:
            >>> BertConfig.from_json('{"vocab_size": 100, "hidden_act": "gelu"}').hidden_act
            'gelu_tanh'
            >>> BertConfig.from_json('{"model_type": "bert", "hidden_act": "gelu"}').hidden_act
            'gelu_erf'
        """
        values, origin = _read_json(source)
        if dialect is None:
            dialect = "hugging_face" if any(key in values for key in _HUGGING_FACE_KEYS) else "google"
        _check_dialect(dialect)
        names = {field.name for field in dataclasses.fields(cls)}
        if not names & values.keys() and "model_type" not in values:
            raise BadInputError(
                f"A BERT config must hold keys such as `hidden_size`. Received: {origin} with keys {sorted(values)[:10]}. "
                "Name the model's `config.json` or `bert_config.json`."
            )
        _refuse_other_architectures(values, origin)
        known = {name: values[name] for name in names & values.keys()}
        if dialect == "google":
            known.setdefault("type_vocab_size", 16)
        else:
            known.setdefault("hidden_act", "gelu")
        if isinstance(known.get("hidden_act"), str):
            known["hidden_act"] = _ACTIVATIONS_READ[dialect].get(known["hidden_act"], known["hidden_act"])
        try:
            return cls(**known)
        except BadInputError as error:
            raise BadInputError(f"{origin}: {error}") from None

    def to_json(self, path: "str | os.PathLike[str] | None" = None, dialect: str = "hugging_face") -> str:
        """Returns the config as JSON text in one of the two dialects, and writes it to `path` if one is given.

        Args:
            path: a file to write, aside and renamed.
            dialect: "hugging_face" or "google".

        Raises:
            BadInputError: the dialect has no name for the activation.
        """
        _check_dialect(dialect)
        values = self.to_dict()
        values["hidden_act"] = self._activation_in(dialect)
        if dialect == "hugging_face":
            values |= {"model_type": "bert", "position_embedding_type": "absolute"}
        elif self.layer_norm_eps == 1e-12:
            del values["layer_norm_eps"]  # Google's code has no such key: 1e-12 is fixed there.
        text = json.dumps(values, indent=2, sort_keys=True) + "\n"
        if path is not None:
            with write_aside(path) as aside:
                aside.write_text(text, encoding="utf-8")
        return text

    def _activation_in(self, dialect: str) -> str:
        """The dialect's name for `hidden_act`."""
        for theirs, ours in _ACTIVATIONS_READ[dialect].items():
            if ours == self.hidden_act:
                return theirs
        if dialect == "google" and self.hidden_act == GELU_ERF:
            return GELU_ERF  # Google's reader refuses this name instead of computing the tanh form in silence.
        raise BadInputError(
            f"`hidden_act` must be one of {sorted(set(_ACTIVATIONS_READ[dialect].values()))} to be written in the "
            f"{dialect} dialect. Received: hidden_act={self.hidden_act!r}. Keep such a model in the `.keras` format."
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields as a new dict, in kerasbert's own words: `BertConfig(**config.to_dict()) == config`."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> "BertConfig":
        """A copy with some fields changed.

        Raises:
            BadInputError: a field is unknown or a value is impossible.
        """
        names = [field.name for field in dataclasses.fields(self)]
        unknown = sorted(changes.keys() - set(names))
        if unknown:
            raise BadInputError(
                f"Every name must be a field of `BertConfig`. Received: {unknown}. The fields are: {names}."
            )
        return dataclasses.replace(self, **changes)


def check_positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an int, or refuses what is not a whole number of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise BadInputError(
            f"`{name}` must be a whole number of at least 1. Received: {name}={value!r}. Give such as {name}=2."
        )
    return number


def check_rate(name: str, value: Any) -> float:
    """Returns `value` as a float, or refuses what is not a dropout rate."""
    number = _number(value)
    if not 0 <= number < 1:
        raise BadInputError(
            f"`{name}` must be a number from 0 up to but not including 1. Received: {name}={value!r}. "
            f"Give such as {name}=0.1, or 0 for no dropout."
        )
    return number


def check_positive_number(name: str, value: Any) -> float:
    """Returns `value` as a float, or refuses what is not a finite number above 0."""
    number = _number(value)
    if not 0 < number < math.inf:
        raise BadInputError(
            f"`{name}` must be a finite number above 0. Received: {name}={value!r}. "
            "BERT uses 0.02 for initial weights and 1e-12 for layer norms."
        )
    return number


def check_activation(name: str, value: Any) -> str:
    """Returns `value`, or refuses what is not the name of an activation with one meaning."""
    if value in (GELU_TANH, GELU_ERF, "relu", "silu", "tanh", "linear"):
        return str(value)
    if value == "gelu":
        raise BadInputError(
            f"`{name}` must say which form of GELU is meant. Received: {name}='gelu'. Give 'gelu_tanh' (Google's since "
            "2019) or 'gelu_erf' (Hugging Face's 'gelu'); `BertConfig.from_json` tells them apart by the file."
        )
    if isinstance(value, str):
        import keras

        # Keras takes any other name for an error, and says so with a ValueError.
        try:
            keras.activations.get(value)
        except ValueError:
            pass
        else:
            return value
    raise BadInputError(
        f"`{name}` must be 'gelu_tanh', 'gelu_erf' or the name of a Keras activation. Received: {name}={value!r}. "
        "Give such as 'gelu_tanh', 'gelu_erf', 'relu', 'silu' or 'tanh'."
    )


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


def _number(value: Any) -> float:
    """`value` as a float; NaN, which is in no range, for what is not a number."""
    if isinstance(value, (bool, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _check_dialect(dialect: str) -> None:
    """Refuses an unknown dialect."""
    if dialect not in _DIALECTS:
        raise BadInputError(f"`dialect` must be one of {_DIALECTS}. Received: dialect={dialect!r}. Choose one of them.")


def _read_json(source: Any) -> tuple[dict[str, Any], str]:
    """The parsed object and a name for it in messages."""
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
                f"The config must be a readable JSON file. Received: {origin} ({error}). Name an existing file."
            ) from error
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInputError(
            f"The config must be JSON. Received: {origin} ({error}). Mend the file or copy it again."
        ) from error
    if not isinstance(values, dict):
        raise BadInputError(
            f"The config must be a JSON object. Received: {origin} with a {type(values).__name__}. Name the model's config."
        )
    return values, origin


def _refuse_other_architectures(values: Mapping[str, Any], origin: str) -> None:
    """Refuses a config whose model computes something else than BERT's encoder under the same field names."""
    architectures = values.get("architectures") or ["BertModel"]
    refused = {
        "model_type": values.get("model_type", "bert") != "bert",
        "architectures": "model_type" not in values and not any("Bert" == str(name)[:4] for name in architectures),
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
                f"Received: {origin} with {key}={values[key]!r}. Convert a BERT checkpoint instead of this one."
            )
