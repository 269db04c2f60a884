"""Describes an exported model for the people and programs that find its folder: what it is, does, needs and cannot do.

The facts about the model are read from the model itself. What it was trained on and how good it is must come from the
caller of the export.
"""

import datetime
import json
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import meta_graph_pb2

from kerasbert.errors import BadInputError
from kerasbert.export.saved_model_file import read_saved_model, signature_definitions, tensor_text
from kerasbert.export.served.model import ServedModel
from kerasbert.export.serving_compatibility import first_serving_version
from kerasbert.export.signature_tensors import Tensor
from kerasbert.export.signatures import SIGNATURES, TITLES
from kerasbert.models.precision_choice import Comparison, precision_text
from kerasbert.version import __version__

JSON_FILE = Path("assets") / "model_card.json"
TEXT_FILE = Path("assets.extra") / "README.md"
_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "tensorflow-text", "numpy")
# The entries that are read from the model itself.
_OWN = ("model", "preprocessing", "signatures", "versions", "first_serving_version", "created")
# Not a character: UTF-8 cannot encode it.
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


def check_facts(facts: Mapping[str, Any]) -> None:
    """Refuse facts that cannot be written into a card.

    Raises:
        BadInputError: a fact has the name of an entry that is read from the model, is not a JSON value, or contains
            half of a surrogate pair.
    """
    if not isinstance(facts, Mapping):
        raise BadInputError(
            f"`model_card` must be a mapping. Received: {type(facts).__name__}. "
            'For example, model_card={"data": "10,000 customer questions"}.'
        )
    if taken := sorted(set(facts) & set(_OWN)):
        raise BadInputError(
            f"`model_card` must not contain what is read from the model. Received: {', '.join(taken)}. Use other names."
        )
    try:
        text = json.dumps(dict(facts), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"`model_card` must contain only JSON values. Received: {error}. Use numbers, strings, lists and mappings."
        ) from error
    if half := _HALF_PAIR.search(text):
        raise BadInputError(
            "`model_card` must contain only characters that UTF-8 can encode. "
            f"Received: U+{ord(half[0]):04X}, half of a surrogate pair. Use the whole character."
        )


def write_model_card(served: ServedModel, facts: Mapping[str, Any], folder: Path) -> None:
    """Write the card into the folder of a SavedModel, as JSON for programs and as Markdown for people.

    Args:
        served: the model.
        facts: what the model itself does not know: `data`, `metrics`, `limits` and more.
        folder: the version's folder, with the SavedModel in it.
    """
    card = _card(served, facts, folder)
    (folder / JSON_FILE).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / TEXT_FILE).parent.mkdir(exist_ok=True)
    (folder / TEXT_FILE).write_text(_as_text(card, TITLES[served.FORM]), encoding="utf-8")


def _card(served: ServedModel, facts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The card as JSON values."""
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
            "precision": _precision(served),
            **_vector_size(served),
            **served.backbone.bert_config.to_dict(),
        },
        "preprocessing": served.text_inputs.text_to_inputs.get_config(),
        "signatures": {name: _signature(served, name, definition) for name, definition in definitions.items()},
        "first_serving_version": first_serving_version(folder),
        "versions": _versions(),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _signature(served: ServedModel, name: str, definition: meta_graph_pb2.SignatureDef) -> dict[str, Any]:
    """One signature: what it is for, and the types and meanings of its tensors in the order of the table."""
    info = SIGNATURES[served.FORM][name]
    inputs = {key: tensor_text(definition.inputs[key]) for key in info.inputs}
    outputs = {key: tensor_text(definition.outputs[key]) for key in info.outputs if key in definition.outputs}
    meanings = {
        key: _meaning(served, key, tensor)
        for key, tensor in {**info.inputs, **info.outputs}.items()
        if key in inputs or key in outputs
    }
    return {
        "purpose": info.purpose,
        "method": definition.method_name,
        "inputs": inputs,
        "outputs": outputs,
        "meanings": meanings,
    }


def _meaning(served: ServedModel, name: str, tensor: Tensor) -> str:
    """What a tensor means, with the names of the tf.Example features that this model reads."""
    if name not in ("examples", "inputs"):
        return tensor.meaning
    features = {served.TEXT_FEATURE: served.text_feature, served.PAIR_FEATURE: served.pair_feature}
    return re.sub(r"`(\w+)`", lambda match: f"`{features.get(match[1], match[1])}`", tensor.meaning)


def _precision(served: ServedModel) -> dict[str, Any]:
    """The precision of the encoder, and how its answers compare with those of float32."""
    if served.chosen is None:
        return {"name": str(served.backbone.dtype_policy.name)}
    comparison = served.chosen.comparison
    found = comparison._asdict() if comparison else {}
    compared = {name: value for name, value in found.items() if value is not None}
    return {"name": served.chosen.reduced.precision, **({"compared_with_float32": compared} if compared else {})}


def _precision_text(name: str, compared_with_float32: Mapping[str, Any] | None = None) -> str:
    """The same in words."""
    return precision_text(name, Comparison(**compared_with_float32) if compared_with_float32 else None)


def stored_precision(folder: Path) -> str:
    """The precision of an exported version, and how it compares with float32, in words."""
    card = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
    return _precision_text(**card["model"]["precision"])


def _vector_size(served: ServedModel) -> dict[str, int]:
    """The size of a sentence encoder's vectors, which may differ from the hidden size."""
    return {"embedding_size": served.model.embedding_size} if hasattr(served.model, "embedding_size") else {}


def _items(fact: Any) -> list[Any]:
    """The items of a list. Any other value is a single item, and None is no item."""
    if isinstance(fact, list | tuple):
        return list(fact)
    return [] if fact is None else [fact]


def _limits(served: ServedModel) -> list[str]:
    """What callers must know and cannot see."""
    length = served.text_inputs.text_to_inputs.sequence_length
    return [
        f"A row has at most {length} tokens, including [CLS] and [SEP]. {served.BEYOND_LENGTH}",
        "Bytes that are not valid UTF-8 are read as the replacement character U+FFFD.",
        "Probabilities are computed by the model and are not calibrated.",
    ]


def _versions() -> dict[str, str]:
    """The versions of the packages that exported the model."""
    versions = {"kerasbert": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _as_text(card: dict[str, Any], title: str) -> str:
    """The card in Markdown, beginning with what people ask first."""
    model, serving = card["model"], card["first_serving_version"]
    default = card["signatures"]["serving_default"]
    lines = [
        f"# {title}",
        "",
        f"{default['purpose']} The model takes raw text: its tokenizer is part of it.",
        "",
        f"* {model['kind']} with {model['parameters']:,} parameters: {model['num_hidden_layers']} layers, hidden size "
        f"{model['hidden_size']}",
        *([f"* Vectors of {model['embedding_size']} numbers"] if "embedding_size" in model else []),
        f"* Precision: {_precision_text(**model['precision'])}",
        f"* Needs TF Serving {serving} or later" if serving else "* Has ops that no listed version of TF Serving has",
        f"* Exported on {card['created']} by kerasbert {card['versions']['kerasbert']}",
        "",
        *_request(default["inputs"]),
    ]
    for section in ("data", "metrics", "limits", *sorted(set(card) - {"data", "metrics", "limits", *_OWN})):
        lines += [f"## {section.replace('_', ' ').capitalize()}", "", *_bullets(card[section]), ""]
    if model["labels"]:
        lines += ["## Labels", "", *_bullets(model["labels"]), ""]
    lines += _signature_sections(card["signatures"])
    lines += ["## Versions", "", *_bullets(card["versions"]), ""]
    return "\n".join(lines)


def _request(inputs: Mapping[str, str]) -> list[str]:
    """A request over REST to `serving_default`, with a placeholder for each text."""
    values: dict[str, Any] = {name: ["...", "..."] if "?" in text else "..." for name, text in inputs.items()}
    body = json.dumps({"instances": [values]})
    return [
        "## How to call it",
        "",
        "Replace NAME with the name under which the model is served:",
        "",
        "```sh",
        f"curl http://localhost:8501/v1/models/NAME:predict -d '{body}'",
        "```",
        "",
    ]


def _signature_sections(signatures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The signatures, with a table of each one's tensors."""
    lines = [
        "## Signatures",
        "",
        "A request names one of these as its `signature_name`; without a name, it gets `serving_default`. `classify` "
        "and `regress` are for TF Serving's methods of these names. All inputs of a signature must be sent. `batch` is "
        "the number of rows in the request, and `?` is any size. Byte offsets count the bytes of the text in UTF-8.",
        "",
    ]
    for name, signature in signatures.items():
        lines += [
            f"### `{name}`",
            "",
            signature["purpose"],
            "",
            "| | name | type | meaning |",
            "| --- | --- | --- | --- |",
        ]
        for side in ("input", "output"):
            for key, text in signature[f"{side}s"].items():
                lines.append(f"| {side} | `{key}` | {text} | {signature['meanings'][key]} |")
        lines.append("")
    return lines


def _bullets(value: Any, depth: int = 0) -> list[str]:
    """A JSON value as lines of Markdown."""
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
