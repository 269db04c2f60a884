"""How Google's and Hugging Face's JSON describe a BERT: the names of activations, and what is not a BERT.

Which fields a config has is decided in `kerasbert.config`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.argument_checks import GELU_ERF, GELU_TANH
from kerasbert.errors import BadInputError

OWN_DIALECT = "kerasbert"  # also the `model_type` in its files
DIALECTS = ("hugging_face", "google", OWN_DIALECT)
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


def dialect_of(values: Mapping[str, Any]) -> str:
    """Return the dialect of a config's content."""
    if values.get("model_type") == OWN_DIALECT:
        return OWN_DIALECT
    return "hugging_face" if any(key in values for key in _HUGGING_FACE_KEYS) else "google"


def activation_in(dialect: str, activation: str) -> str:
    """Return the dialect's name for an activation.

    Raises:
        BadInputError: the dialect has no name for it.
    """
    for theirs, ours in _ACTIVATIONS_READ[dialect].items():
        if ours == activation:
            return theirs
    if dialect == "google" and activation == GELU_ERF:
        return GELU_ERF  # Google's reader refuses this name, instead of silently computing the tanh form.
    raise BadInputError(
        f"`hidden_act` must be one of {sorted(set(_ACTIVATIONS_READ[dialect].values()))} to be written in the "
        f"{dialect} dialect. Received: hidden_act={activation!r}. Use the format 'kerasbert'."
    )


def has_name(dialect: str, activation: str) -> bool:
    """Return whether the dialect has a name for an activation."""
    return activation in _ACTIVATIONS_READ[dialect].values()


def activation_of(name: Any, dialect: str) -> Any:
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


def read_json(source: Any) -> tuple[dict[str, Any], str]:
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


def refuse_other_architectures(values: Mapping[str, Any], origin: str) -> None:
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
