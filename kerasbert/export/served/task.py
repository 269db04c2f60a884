"""Finds how a model is served from its kind, and refuses parts that do not fit together."""

from collections.abc import Iterable
from typing import Any

import keras

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.graph.text_inputs import TextInputs
from kerasbert.export.served.classifier import ServedClassifier, ServedRegressor
from kerasbert.export.served.encoder import ServedBackbone, ServedSentenceEncoder
from kerasbert.export.served.model import ServedModel
from kerasbert.export.served.multiple_choice import ServedMultipleChoice
from kerasbert.export.served.pretrainer import ServedPretrainer
from kerasbert.export.served.span_predictor import ServedSpanPredictor
from kerasbert.export.served.token_classifier import ServedTokenClassifier
from kerasbert.models import (
    BertBackbone,
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
)
from kerasbert.preprocessing import TextToInputs

_SERVED: dict[type, type[ServedModel]] = {
    BertBackbone: ServedBackbone,
    BertMultipleChoice: ServedMultipleChoice,
    BertPretrainer: ServedPretrainer,
    BertSentenceEncoder: ServedSentenceEncoder,
    BertSequenceClassifier: ServedClassifier,
    BertSpanPredictor: ServedSpanPredictor,
    BertTokenClassifier: ServedTokenClassifier,
}


def served_model(
    model: Any,
    text_to_inputs: TextToInputs,
    labels: Iterable[str] | None = None,
    answer_search: AnswerSearch | None = None,
    **features: str | None,
) -> ServedModel:
    """The functions that serve this model.

    Args:
        model: a model of `kerasbert.models`.
        text_to_inputs: its preprocessing.
        labels: the label names of a classifier, in the order of its logits.
        answer_search: how a `BertSpanPredictor`'s answers are looked for.
        **features: `text_feature` and `pair_feature`, see `ServedModel`.

    Raises:
        BadInputError: the model cannot be served, or the parts do not fit together.
    """
    _check_backend()
    kind = next((served for of, served in _SERVED.items() if isinstance(model, of)), None)
    if kind is None:
        raise BadInputError(
            f"The model must be one of {', '.join(sorted(of.__name__ for of in _SERVED))}. "
            f"Received: {type(model).__name__}. Export its BertBackbone instead, or put that into one of them."
        )
    backbone = model if isinstance(model, BertBackbone) else model.backbone
    _check_preprocessing(backbone.bert_config, text_to_inputs)
    arguments: dict[str, Any] = dict(features)
    if kind is ServedClassifier and model.problem_type == "regression":
        kind = ServedRegressor
    if kind in (ServedClassifier, ServedTokenClassifier):
        arguments["labels"] = _checked_labels(labels, model.num_labels)
    if kind is ServedSpanPredictor:
        arguments["search"] = answer_search or AnswerSearch()
    if kind in (ServedSpanPredictor, ServedMultipleChoice):
        _check_two_segments(backbone.bert_config)
    text_inputs = TextInputs(text_to_inputs, keep_masks=kind is ServedPretrainer)
    return kind(model=model, backbone=backbone, text_inputs=text_inputs, **arguments)


def _check_backend() -> None:
    """Refuses models of other backends than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise BadInputError(
            "A SavedModel is made of TensorFlow functions, so the model must run on Keras' TensorFlow backend. "
            f"Received: the {keras.backend.backend()} backend. Save the model, and load and export it in a process "
            "with KERAS_BACKEND=tensorflow."
        )


def _check_preprocessing(config: BertConfig, text_to_inputs: TextToInputs) -> None:
    """Refuses preprocessing that makes ids or lengths that the model has no rows for."""
    if not isinstance(text_to_inputs, TextToInputs):
        raise BadInputError(f"`text_to_inputs` must be a `TextToInputs`. Received: {type(text_to_inputs).__name__}.")
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


def _check_two_segments(config: BertConfig) -> None:
    """Refuses a model that cannot tell a question from a text."""
    if config.type_vocab_size < 2:
        raise BadInputError(
            "A model of pairs must tell two segments apart. "
            f"Received: type_vocab_size={config.type_vocab_size}. Use a backbone with type_vocab_size=2."
        )


def _checked_labels(labels: Iterable[str] | None, num_labels: int) -> list[str]:
    """The label names in the order of the logits."""
    if labels is None:
        return [f"LABEL_{index}" for index in range(num_labels)]
    names = [labels] if isinstance(labels, str) else list(labels)
    if any(not isinstance(name, str) for name in names):
        raise BadInputError(f"`labels` must be strings. Received: labels={names!r}.")
    if len(names) != num_labels or len(set(names)) != num_labels:
        raise BadInputError(
            f"`labels` must name each of the model's {num_labels} labels once. Received: {len(names)} names, "
            f"{len(set(names))} of them different: {names!r}. Give one name for each logit, in their order."
        )
    return names
