"""The keys of Hugging Face's `config.json` that say what is on top of the encoder: its labels and kind of problem.

The encoder's own keys are `BertConfig`'s.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models.sequence_classification import PROBLEM_TYPES

CONFIG_FILE = "config.json"


def task_settings(model: Any, labels: Sequence[str] | None, pad_id: int) -> dict[str, Any]:
    """The keys that describe a model's task, for `config.json`."""
    settings: dict[str, Any] = {"pad_token_id": pad_id}
    num_labels = getattr(model, "num_labels", None)
    if num_labels is not None:
        if labels is None:
            settings["num_labels"] = num_labels
        else:
            settings["id2label"] = {str(index): label for index, label in enumerate(labels)}
            settings["label2id"] = {label: index for index, label in enumerate(labels)}
    if hasattr(model, "problem_type"):
        settings["problem_type"] = model.problem_type
    if isinstance(getattr(model, "dropout", None), float):
        settings["classifier_dropout"] = model.dropout
    return settings


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file that must be there.

    Raises:
        BadInputError: there is no such file, or no JSON object in it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: the file must be JSON. Received: {error}. Copy or download it again.") from error
    if not isinstance(values, dict):
        raise BadInputError(
            f"{path}: the file must be a JSON object. Received: a {type(values).__name__}. Copy or download it again."
        )
    return values


def read_labels(values: Mapping[str, Any], path: Path) -> tuple[int | None, tuple[str, ...] | None]:
    """The number of labels and their names in the order of their ids; None for what the config does not say.

    Raises:
        BadInputError: the ids are not 0, 1, 2 ... or contradict `num_labels`.
    """
    id2label, num_labels = values.get("id2label"), values.get("num_labels")
    if id2label is None:
        return (num_labels if isinstance(num_labels, int) else None), None
    try:
        by_id = {int(index): str(label) for index, label in id2label.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInputError(
            f"{path}: `id2label` must map ids to names. Received: {str(id2label)[:200]}. Mend the file."
        ) from error
    if sorted(by_id) != list(range(len(by_id))) or num_labels not in (None, len(by_id)):
        raise BadInputError(
            f"{path}: `id2label` must number the labels from 0 on, as many as `num_labels` says. Received: "
            f"{len(by_id)} labels, ids {sorted(by_id)[:5]}..., num_labels={num_labels}. Mend the file."
        )
    return len(by_id), tuple(by_id[index] for index in sorted(by_id))


def problem_type(values: Mapping[str, Any], num_labels: int, path: Path) -> str:
    """The kind of problem of a sequence classifier; where the config is silent, one label means regression."""
    stated = values.get("problem_type") or ("regression" if num_labels == 1 else "single_label_classification")
    if stated not in PROBLEM_TYPES:
        raise BadInputError(
            f"{path}: `problem_type` must be one of {PROBLEM_TYPES}. Received: {stated!r}. Mend the file."
        )
    return str(stated)


def classifier_dropout(values: Mapping[str, Any], config: BertConfig) -> float:
    """The dropout rate before a classifier; the encoder's own where the config is silent."""
    rate = values.get("classifier_dropout")
    return config.hidden_dropout_prob if rate is None else rate
