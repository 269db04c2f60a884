"""Describes an exported model for the people and programs that meet its folder: what it is, does, needs and cannot.

The facts are read off the model itself; what it was trained on and how well it does is said by who exports it.
"""

import datetime
import json
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert.export.saved_model_file import read_saved_model, signature_definitions, tensor_text
from kerasbert.export.served.model import ServedModel
from kerasbert.export.serving_compatibility import first_serving_version
from kerasbert.version import __version__

JSON_FILE = Path("assets") / "model_card.json"
TEXT_FILE = Path("assets.extra") / "README.md"
_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "tensorflow-text", "numpy")
# What the card reads off the model itself.
_OWN = ("model", "preprocessing", "signatures", "versions", "first_serving_version", "created")
# No character: UTF-8 has no bytes for it.
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


def check_facts(facts: Mapping[str, Any]) -> None:
    """Refuses what cannot be written into a card.

    Raises:
        BadInputError: a fact has the name of one that the card reads off the model, is no JSON value, or holds half of
            a surrogate pair.
    """
    if taken := sorted(set(facts) & set(_OWN)):
        raise BadInputError(
            f"`model_card` must not say what is read off the model. Received: {', '.join(taken)}. Use other names."
        )
    try:
        text = json.dumps(dict(facts), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"`model_card` must hold values that JSON can hold. Received: {error}. Write numbers and texts."
        ) from error
    if half := _HALF_PAIR.search(text):
        raise BadInputError(
            "`model_card` must hold characters that a file can hold. "
            f"Received: U+{ord(half[0]):04X}, half of a surrogate pair. Write the character itself."
        )


def write_model_card(served: ServedModel, facts: Mapping[str, Any], folder: Path) -> None:
    """Writes the card beside a SavedModel, as JSON and as text.

    Args:
        served: the model.
        facts: what the model cannot tell itself: `data`, `metrics`, `limits` and more.
        folder: the version's folder, with the SavedModel in it.
    """
    card = _card(served, facts, folder)
    (folder / JSON_FILE).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / TEXT_FILE).parent.mkdir(exist_ok=True)
    (folder / TEXT_FILE).write_text(_as_text(card), encoding="utf-8")


def _card(served: ServedModel, facts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The card as data that JSON can hold."""
    definitions = signature_definitions(read_saved_model(folder))
    return {
        "data": "Not stated.",
        "metrics": "Not stated.",
        **facts,
        "limits": [*_items(facts.get("limits")), *_limits(served)],
        "model": {
            "kind": type(served.model).__name__,
            "parameters": int(served.model.count_params()),
            "labels": served.labels,
            **_vector_size(served),
            **served.backbone.bert_config.to_dict(),
        },
        "preprocessing": served.text_inputs.text_to_inputs.get_config(),
        "signatures": {
            name: {
                "method": definition.method_name,
                "inputs": {key: tensor_text(info) for key, info in sorted(definition.inputs.items())},
                "outputs": {key: tensor_text(info) for key, info in sorted(definition.outputs.items())},
            }
            for name, definition in definitions.items()
        },
        "first_serving_version": first_serving_version(folder),
        "versions": _versions(),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _vector_size(served: ServedModel) -> dict[str, int]:
    """How many numbers a sentence encoder's vectors have, which need not be the hidden size."""
    return {"embedding_size": served.model.embedding_size} if hasattr(served.model, "embedding_size") else {}


def _items(fact: Any) -> list[Any]:
    """A list's items; anything else is one item, and None is none."""
    if isinstance(fact, list | tuple):
        return list(fact)
    return [] if fact is None else [fact]


def _limits(served: ServedModel) -> list[str]:
    """What a caller must know and cannot see."""
    length = served.text_inputs.text_to_inputs.sequence_length
    return [
        f"A row has at most {length} tokens, [CLS] and [SEP] among them. {served.BEYOND_LENGTH}",
        "Bytes that are no UTF-8 are read as the replacement character.",
        "Probabilities are the model's own and are not calibrated.",
    ]


def _versions() -> dict[str, str]:
    """What the model was exported with."""
    versions = {"kerasbert": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _as_text(card: dict[str, Any]) -> str:
    """The card in Markdown, with what people ask first in front."""
    model, serving = card["model"], card["first_serving_version"]
    lines = [
        f"# {model['kind']}",
        "",
        f"{model['parameters']:,} parameters, {model['num_hidden_layers']} layers of size {model['hidden_size']}.",
        *([f"Its vectors have {model['embedding_size']} numbers."] if "embedding_size" in model else []),
        f"Exported on {card['created']} by kerasbert {card['versions']['kerasbert']}.",
        f"Needs TF Serving {serving} or later." if serving else "Has ops that no listed TF Serving links.",
        "",
    ]
    for title in ("data", "metrics", "limits", *sorted(set(card) - {"data", "metrics", "limits", *_OWN})):
        lines += [f"## {title.replace('_', ' ').capitalize()}", "", *_bullets(card[title]), ""]
    if model["labels"]:
        lines += ["## Labels", "", *_bullets(model["labels"]), ""]
    lines += ["## Signatures", ""]
    for name, definition in card["signatures"].items():
        lines += [f"### `{name}`", ""]
        lines += [
            f"* {side} `{key}`: {text}" for side in ("inputs", "outputs") for key, text in definition[side].items()
        ]
        lines += [""]
    lines += ["## Versions", "", *_bullets(card["versions"]), ""]
    return "\n".join(lines)


def _bullets(value: Any, depth: int = 0) -> list[str]:
    """A JSON value as Markdown lines."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        pairs = [(f"{indent}* {key}:", item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(f"{indent}*", item) for item in value]
    else:
        return [f"{indent}{value}"]
    lines: list[str] = []
    for head, item in pairs:
        if isinstance(item, Mapping | list | tuple):
            lines += [head, *_bullets(item, depth + 1)]
        else:
            lines.append(f"{head} {item}")
    return lines
