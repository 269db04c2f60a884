"""Reads and writes what a config file says about the task: labels, problem type, dropout, score activation.

The keys are Hugging Face's. Those of the encoder are read by `BertConfig`.
"""

import collections
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from kerasbert.checkpoints.architectures import Architecture
from kerasbert.checkpoints.json_settings import JsonSettings, is_text
from kerasbert.checkpoints.setting_tables import Setting, check_settings
from kerasbert.checkpoints.torch_activations import activation_setting, torch_name
from kerasbert.checkpoints.weight_names import Projection
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.layers.pooling import check_modes
from kerasbert.models.sentence_encoder import check_projections
from kerasbert.settings import PROBLEM_TYPES

# Before version 4 of sentence-transformers.
_OLD_ACTIVATION_KEY = "sbert_ce_default_activation_function"
# The key of a sentence encoder's settings in configs that only we write.
SENTENCE_KEY = "sentence_encoder"
_SENTENCE_ARGUMENTS = ("pooling", "normalize", "projections")
_OPTIONAL_SENTENCE_ARGUMENTS = ("prompts", "default_prompt_name", "similarity")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model needs in addition to its encoder.

    Attributes:
        num_labels: The number of labels; None for a model without a classifier.
        labels: The label names in the order of their ids; None if they have no names.
        arguments: The arguments of the model's constructor, except the backbone.
        projections: The weights of a sentence encoder's dense layers.
    """

    num_labels: int | None = None
    labels: tuple[str, ...] | None = None
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    projections: tuple[Projection, ...] = ()


def read_task(
    settings: JsonSettings,
    architecture: Architecture,
    config: BertConfig,
    labels_in_weights: int | None,
    table: Sequence[Setting] = (),
) -> tuple[Task, str | None]:
    """Reads the task from the config, and from the weights if the config does not say.

    Args:
        settings: The settings of the config file.
        architecture: The kind of checkpoint.
        config: The encoder's config.
        labels_in_weights: The number of labels according to the classifier's weights; None without a classifier.
        table: The table of settings that concern heads only.

    Returns:
        The task, and the message about an invalid setting or None. The message is not raised, because it does not
        matter when only the encoder is loaded. Invalid are labels that are not numbered from 0, have no name or share
        one (such a model could not be saved again), an unknown problem type, a single label where exactly one of them
        is right, and a dropout that is not a rate.
    """
    try:
        check_settings(settings, table)
        return _checked_task(settings, architecture, config, labels_in_weights), None
    except BadInputError as error:
        return Task(), f"{error} `load_backbone` loads the encoder alone."


def sentence_task(arguments: Mapping[str, Any], config: BertConfig, folders: Sequence[str] = ()) -> Task:
    """Returns the task of a sentence encoder.

    Args:
        arguments: The arguments of its constructor.
        config: The encoder's config.
        folders: The folders of its projections in sentence-transformers' layout.

    Raises:
        BadInputError: The pooling or the projections are invalid.
    """
    pooling = check_modes(arguments.get("pooling", "mean"))
    width = config.hidden_size * (1 if isinstance(pooling, str) else len(pooling))
    projections = []
    for projection, folder in itertools.zip_longest(check_projections(arguments.get("projections", [])), folders):
        projections.append(Projection(width, projection["units"], projection["use_bias"], folder or ""))
        width = projection["units"]
    return Task(arguments=dict(arguments), projections=tuple(projections))


def read_sentence_settings(settings: JsonSettings, config: BertConfig) -> tuple[Task, str | None]:
    """Reads what `sentence_settings` returned.

    Args:
        settings: The object under `SENTENCE_KEY`.
        config: The encoder's config.

    Returns:
        The task, and the message about an invalid setting or None.
    """
    unknown = settings.values.keys() - {*_SENTENCE_ARGUMENTS, *_OPTIONAL_SENTENCE_ARGUMENTS}
    try:
        if unknown:
            raise settings.refusal(
                sorted(unknown)[0], "must be left out, because a sentence encoder has no such setting"
            )
        return sentence_task(settings.values, config), None
    except BadInputError as error:
        return Task(), f"{error} `load_backbone` loads the encoder alone."


def sentence_settings(model: Any) -> dict[str, Any]:
    """Returns the arguments of a sentence encoder, for the key `SENTENCE_KEY` of a config file."""
    arguments = model.get_config()
    optional = {name: arguments[name] for name in _OPTIONAL_SENTENCE_ARGUMENTS if arguments[name]}
    return {**{name: arguments[name] for name in _SENTENCE_ARGUMENTS}, **optional}


def task_settings(model: Any, labels: Sequence[str] | None) -> dict[str, Any]:
    """Returns the keys that describe a model's task, for a config file."""
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
    if getattr(model, "activation", None) is not None:
        activation = torch_name(model.activation, "A classifier")
        settings["sentence_transformers"] = {"activation_fn": activation}
    return settings


def _checked_task(
    settings: JsonSettings, architecture: Architecture, config: BertConfig, labels_in_weights: int | None
) -> Task:
    if "classifier" not in architecture.parts:
        return Task()
    rate = settings.rate("classifier_dropout")
    arguments: dict[str, Any] = {"dropout": config.hidden_dropout_prob if rate is None else rate}
    if architecture.model == "BertMultipleChoice":  # its output is a score, not a label
        return Task(arguments=arguments)
    labels = _labels(settings)
    num_labels = len(labels) if labels else settings.whole_number("num_labels", 1) or labels_in_weights or 2
    arguments["num_labels"] = num_labels
    if architecture.model == "BertSequenceClassifier":
        arguments["problem_type"] = _problem_type(settings, num_labels)
        activation = _score_activation(settings)
        if activation is not None:
            arguments["activation"] = activation
    return Task(num_labels, labels, arguments)


def _score_activation(settings: JsonSettings) -> str | None:
    """The activation that a cross-encoder of sentence-transformers applies to its logits; None if none is named."""
    section = settings.section("sentence_transformers")
    if section.values.get("activation_fn") is not None:
        return activation_setting(section, "activation_fn")
    if settings.values.get(_OLD_ACTIVATION_KEY) is not None:
        return activation_setting(settings, _OLD_ACTIVATION_KEY)
    return None


def _labels(settings: JsonSettings) -> tuple[str, ...] | None:
    """The label names in the order of their ids; None if the config has none."""
    names = settings.section("id2label").values
    if not names:
        return None
    ids = [str(index) for index in range(len(names))]
    if names.keys() != set(ids):
        raise settings.refusal("id2label", "must number the labels from 0")
    # Some configs have numbers as label names.
    if not all(is_text(name) or isinstance(name, (int, float)) for name in names.values()):
        raise settings.refusal("id2label", "must give each label a name")
    labels = tuple(str(names[index]) for index in ids)
    doubled = [label for label, times in collections.Counter(labels).items() if times > 1]
    if doubled:
        raise settings.refusal(
            "id2label", f"must give each label a different name. {doubled[0]!r} occurs more than once"
        )
    if settings.whole_number("num_labels", 1) not in (None, len(labels)):
        raise settings.refusal("num_labels", f"must be {len(labels)}, the number of labels in `id2label`")
    return labels


def _problem_type(settings: JsonSettings, num_labels: int) -> str:
    """The problem type of a sequence classifier. If the config does not say, one label means regression."""
    single_label = "single_label_classification"
    stated = settings.text("problem_type") or ("regression" if num_labels == 1 else single_label)
    if stated not in PROBLEM_TYPES:
        raise settings.refusal("problem_type", f"must be one of {PROBLEM_TYPES}")
    if stated == single_label and num_labels == 1:
        raise settings.refusal(
            "problem_type", "must be multi_label_classification or regression for a model with one label"
        )
    return stated
