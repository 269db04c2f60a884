"""What a config file says of the task on top of the encoder: labels, kind of problem, dropout. In Hugging Face's keys.

The encoder's own keys are `BertConfig`'s.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.architectures import Architecture
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models.sequence_classification import PROBLEM_TYPES


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model needs beside its encoder.

    Attributes:
        num_labels: C; None for a model without a classifier.
        labels: their names in the order of their ids; None where nobody named them.
        arguments: what the model's constructor takes beside the backbone.
    """

    num_labels: int | None = None
    labels: tuple[str, ...] | None = None
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


def read_task(
    values: Mapping[str, Any], architecture: Architecture, config: BertConfig, labels_in_weights: int | None, path: Path
) -> Task:
    """The task by the config, and by the weights where the config is silent.

    Args:
        values: the config file's object.
        architecture: the kind of checkpoint.
        config: the encoder's config.
        labels_in_weights: C by the classifier's weights, if there are any.
        path: the config file, for messages.

    Raises:
        BadInputError: labels are not numbered from 0 on, or the kind of problem is unknown.
    """
    if "classifier" not in architecture.parts:
        return Task()
    rate = values.get("classifier_dropout")
    arguments: dict[str, Any] = {"dropout": config.hidden_dropout_prob if rate is None else rate}
    if architecture.model == "BertMultipleChoice":  # its one output is no label
        return Task(arguments=arguments)
    stated, labels = _read_labels(values, path)
    num_labels = stated or labels_in_weights or 2
    arguments["num_labels"] = num_labels
    if architecture.model == "BertSequenceClassifier":
        arguments["problem_type"] = _problem_type(values, num_labels, path)
    return Task(num_labels, labels, arguments)


def task_settings(model: Any, labels: Sequence[str] | None) -> dict[str, Any]:
    """The keys that describe a model's task, for a config file."""
    settings: dict[str, Any] = {}
    if labels is not None:
        settings["id2label"] = {str(index): label for index, label in enumerate(labels)}
        settings["label2id"] = {label: index for index, label in enumerate(labels)}
    elif hasattr(model, "num_labels"):
        settings["num_labels"] = model.num_labels
    if hasattr(model, "problem_type"):
        settings["problem_type"] = model.problem_type
    if hasattr(model, "classifier"):
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


def _read_labels(values: Mapping[str, Any], path: Path) -> tuple[int | None, tuple[str, ...] | None]:
    """The number of labels and their names in the order of their ids; None for what the config does not say."""
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


def _problem_type(values: Mapping[str, Any], num_labels: int, path: Path) -> str:
    """The kind of problem of a sequence classifier; where the config is silent, one label means regression."""
    stated = values.get("problem_type") or ("regression" if num_labels == 1 else "single_label_classification")
    if stated not in PROBLEM_TYPES:
        raise BadInputError(
            f"{path}: `problem_type` must be one of {PROBLEM_TYPES}. Received: {stated!r}. Mend the file."
        )
    return str(stated)
