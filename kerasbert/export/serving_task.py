"""Finds how a model is served from its kind, and refuses parts that do not fit together."""

from collections.abc import Iterable
from typing import Any

import keras

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.export.served_classifier import ServedClassifier, ServedRegressor
from kerasbert.export.served_encoder import ServedBackbone
from kerasbert.export.served_model import ServedModel
from kerasbert.export.served_pretrainer import ServedPretrainer
from kerasbert.export.text_inputs import TextInputs
from kerasbert.models import BertBackbone, BertPretrainer, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs


def served_model(
    model: Any, text_to_inputs: TextToInputs, labels: Iterable[str] | None = None, **features: str
) -> ServedModel:
    """The functions that serve this model.

    Args:
        model: a model of `kerasbert.models`.
        text_to_inputs: its preprocessing.
        labels: the label names of a classifier, in the order of its logits.
        **features: `text_feature` and `pair_feature`, see `ServedModel`.

    Raises:
        BadInputError: the model cannot be served, or the parts do not fit together.
    """
    if keras.backend.backend() != "tensorflow":
        raise BadInputError(
            "A SavedModel is made of TensorFlow functions, so the model must run on Keras' TensorFlow backend. "
            f"Received: the {keras.backend.backend()} backend. Save the model, and load and export it in a process "
            "with KERAS_BACKEND=tensorflow."
        )
    if isinstance(model, BertSequenceClassifier):
        arguments = _arguments(model, model.backbone, text_to_inputs, features)
        if model.problem_type == "regression":
            return ServedRegressor(**arguments)
        return ServedClassifier(labels=_checked_labels(labels, model.num_labels), **arguments)
    if isinstance(model, BertPretrainer):
        return ServedPretrainer(**_arguments(model, model.backbone, text_to_inputs, features, keep_masks=True))
    if isinstance(model, BertBackbone):
        return ServedBackbone(**_arguments(model, model, text_to_inputs, features))
    raise BadInputError(
        "The model must be one of those of `kerasbert.models`. "
        f"Received: {type(model).__name__}. Export its BertBackbone instead, or put that into one of them."
    )


def _arguments(
    model: Any, backbone: BertBackbone, text_to_inputs: TextToInputs, features: dict[str, str], keep_masks: bool = False
) -> dict[str, Any]:
    """What every `ServedModel` takes."""
    _check_fits(backbone.bert_config, text_to_inputs)
    text_inputs = TextInputs(text_to_inputs, keep_masks=keep_masks)
    return {"model": model, "backbone": backbone, "text_inputs": text_inputs, **features}


def _check_fits(config: BertConfig, text_to_inputs: TextToInputs) -> None:
    """Refuses preprocessing that makes ids or lengths that the model has no rows for."""
    if not isinstance(text_to_inputs, TextToInputs):
        raise TypeError(f"`text_to_inputs` must be a `TextToInputs`. Received: {type(text_to_inputs).__name__}.")
    if len(text_to_inputs.vocabulary) > config.vocab_size:
        raise BadInputError(
            "The vocabulary must not have more pieces than the model has word embeddings. "
            f"Received: {len(text_to_inputs.vocabulary)} pieces, vocab_size={config.vocab_size}. "
            "Give the preprocessing that the model was trained with."
        )
    if text_to_inputs.sequence_length > config.max_position_embeddings:
        raise BadInputError(
            "The preprocessing must not make longer inputs than the model has positions. "
            f"Received: sequence_length={text_to_inputs.sequence_length}, "
            f"max_position_embeddings={config.max_position_embeddings}. Give a smaller `sequence_length`."
        )


def _checked_labels(labels: Iterable[str] | None, num_labels: int) -> list[str]:
    """The label names in the order of the logits."""
    if labels is None:
        return [f"LABEL_{index}" for index in range(num_labels)]
    names = [labels] if isinstance(labels, str) else list(labels)
    if any(not isinstance(name, str) for name in names):
        raise TypeError(f"`labels` must be strings. Received: labels={names!r}.")
    if len(names) != num_labels or len(set(names)) != num_labels:
        raise BadInputError(
            f"`labels` must name each of the model's {num_labels} labels once. Received: {len(names)} names, "
            f"{len(set(names))} of them different: {names!r}. Give one name for each logit, in their order."
        )
    return names
