"""What a config file says of the task on top of the encoder: labels, kind of problem, dropout. In Hugging Face's keys.

The encoder's own keys are `BertConfig`'s.
"""

import collections
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from kerasbert.checkpoints.architectures import Architecture
from kerasbert.checkpoints.json_settings import JsonSettings, is_text
from kerasbert.checkpoints.weight_names import Projection
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.layers.pooling import check_modes
from kerasbert.models.sentence_encoder import check_projections
from kerasbert.models.sequence_classification import PROBLEM_TYPES


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model needs beside its encoder.

    Attributes:
        num_labels: C; None for a model without a classifier.
        labels: their names in the order of their ids; None where nobody named them.
        arguments: what the model's constructor takes beside the backbone.
        projections: the weights of a sentence encoder's dense layers.
    """

    num_labels: int | None = None
    labels: tuple[str, ...] | None = None
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    projections: tuple[Projection, ...] = ()


def read_task(
    settings: JsonSettings, architecture: Architecture, config: BertConfig, labels_in_weights: int | None
) -> tuple[Task, str | None]:
    """The task by the config, and by the weights where the config is silent; and what is wrong with it, if anything.

    A wrong setting is returned, not raised, because whoever wants the encoder alone does not mind it. Wrong are labels
    that are not numbered from 0 on, have no name or share one (such a model could not be saved again), an unknown kind
    of problem, one label only where exactly one of them is right, and a dropout that is no rate.

    Args:
        settings: the config file's.
        architecture: the kind of checkpoint.
        config: the encoder's config.
        labels_in_weights: C by the classifier's weights, if there are any.
    """
    try:
        return _checked_task(settings, architecture, config, labels_in_weights), None
    except BadInputError as error:
        return Task(), f"{error} `load_backbone` takes the encoder alone."


def sentence_task(arguments: Mapping[str, Any], config: BertConfig, folders: Sequence[str] = ()) -> Task:
    """The task of a sentence encoder.

    Args:
        arguments: its constructor's.
        config: the encoder's config.
        folders: of its projections in sentence-transformers' layout.

    Raises:
        BadInputError: pooling or projections are impossible.
    """
    pooling = check_modes(arguments.get("pooling", "mean"))
    width = config.hidden_size * (1 if isinstance(pooling, str) else len(pooling))
    projections = []
    for projection, folder in itertools.zip_longest(check_projections(arguments.get("projections", [])), folders):
        projections.append(Projection(width, projection["units"], projection["use_bias"], folder or ""))
        width = projection["units"]
    return Task(arguments=dict(arguments), projections=tuple(projections))


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


def _checked_task(
    settings: JsonSettings, architecture: Architecture, config: BertConfig, labels_in_weights: int | None
) -> Task:
    if "classifier" not in architecture.parts:
        return Task()
    rate = settings.rate("classifier_dropout")
    arguments: dict[str, Any] = {"dropout": config.hidden_dropout_prob if rate is None else rate}
    if architecture.model == "BertMultipleChoice":  # its one output is no label
        return Task(arguments=arguments)
    labels = _labels(settings)
    num_labels = len(labels) if labels else settings.whole_number("num_labels", 1) or labels_in_weights or 2
    arguments["num_labels"] = num_labels
    if architecture.model == "BertSequenceClassifier":
        arguments["problem_type"] = _problem_type(settings, num_labels)
    return Task(num_labels, labels, arguments)


def _labels(settings: JsonSettings) -> tuple[str, ...] | None:
    """The label names in the order of their ids; None if the config names none."""
    names = settings.section("id2label").values
    if not names:
        return None
    ids = [str(index) for index in range(len(names))]
    if names.keys() != set(ids):
        raise settings.refusal("id2label", "must number the labels from 0 on")
    # Some name their labels by numbers.
    if not all(is_text(name) or isinstance(name, (int, float)) for name in names.values()):
        raise settings.refusal("id2label", "must give each label a name")
    labels = tuple(str(names[index]) for index in ids)
    doubled = [label for label, times in collections.Counter(labels).items() if times > 1]
    if doubled:
        raise settings.refusal("id2label", f"must give each label a name of its own, and not {doubled[0]!r} to several")
    if settings.whole_number("num_labels", 1) not in (None, len(labels)):
        raise settings.refusal("num_labels", f"must be as many as `id2label` names, which is {len(labels)}")
    return labels


def _problem_type(settings: JsonSettings, num_labels: int) -> str:
    """The kind of problem of a sequence classifier; where the config is silent, one label means regression."""
    single_label = "single_label_classification"
    stated = settings.text("problem_type") or ("regression" if num_labels == 1 else single_label)
    if stated not in PROBLEM_TYPES:
        raise settings.refusal("problem_type", f"must be one of {PROBLEM_TYPES}")
    if stated == single_label and num_labels == 1:
        raise settings.refusal("problem_type", "must be another one for a model with one label")
    return stated
