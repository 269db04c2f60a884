"""Chooses how a model is served, and refuses parts that do not fit together."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.graph.text_inputs import text_inputs_of
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
from kerasbert.models.backbone_task import backbone_of
from kerasbert.models.precision_choice import choose_precision
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
    precision: str | None = None,
    sample_texts: Sequence[str] = (),
    **features: str | None,
) -> ServedModel:
    """Make the functions that serve a model.

    Args:
        model: a model of `kerasbert.models`.
        text_to_inputs: its preprocessing.
        labels: the label names of a classifier, in the order of its logits.
        answer_search: how a `BertSpanPredictor` searches for answers.
        precision: see `choose_precision`. By default, that of the model.
        sample_texts: texts to choose it with.
        **features: `text_feature` and `pair_feature`, see `ServedModel`.

    Raises:
        BadInputError: the model cannot be served, or the parts do not fit together.
    """
    _check_backend()
    kind = next((served for of, served in _SERVED.items() if isinstance(model, of)), None)
    if kind is None:
        raise BadInputError(
            f"`model` must be one of {', '.join(sorted(of.__name__ for of in _SERVED))}. "
            f"Received: {type(model).__name__}. Export its `BertBackbone`, or build one of these models on it."
        )
    backbone = backbone_of(model)
    _check_preprocessing(backbone.bert_config, text_to_inputs)
    arguments: dict[str, Any] = dict(features)
    if kind is ServedClassifier and model.problem_type == "regression":
        kind = ServedRegressor
    if kind in (ServedClassifier, ServedTokenClassifier):
        arguments["labels"] = _checked_labels(labels, model.num_labels)
    if kind is ServedSpanPredictor:
        arguments["search"] = answer_search or AnswerSearch()
    if kind in (ServedSpanPredictor, ServedMultipleChoice):
        _check_two_segments(backbone.bert_config, text_to_inputs)
    text_inputs = text_inputs_of(text_to_inputs, keep_masks=kind is ServedPretrainer)
    if precision is not None:
        chosen = choose_precision(model, precision, text_to_inputs, sample_texts)
        model, arguments["chosen"] = chosen.reduced.model, chosen
        backbone = backbone_of(model)
    return kind(model=model, backbone=backbone, text_inputs=text_inputs, **arguments)


def _check_backend() -> None:
    """Refuse models that run on another Keras backend than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise BadInputError(
            "A SavedModel consists of TensorFlow functions, so the model must run on Keras' TensorFlow backend. "
            f"Received: the {keras.backend.backend()} backend. Save the model with `kerasbert.checkpoints.save`, and "
            "export it in a process with the environment variable KERAS_BACKEND=tensorflow."
        )


def _check_preprocessing(config: BertConfig, text_to_inputs: TextToInputs) -> None:
    """Refuse preprocessing that produces ids or lengths beyond the model's embeddings.

    A vocabulary with fewer pieces than the model has word embeddings is fine: published models are often padded.
    """
    if not isinstance(text_to_inputs, TextToInputs):
        raise BadInputError(
            "`text_to_inputs` must be the `TextToInputs` that the model was trained with. "
            f"Received: {type(text_to_inputs).__name__}. "
            "The order of the arguments is (model, folder, text_to_inputs, labels)."
        )
    if len(text_to_inputs.vocabulary) > config.vocab_size:
        raise BadInputError(
            "The vocabulary must not have more pieces than the model has word embeddings. "
            f"Received: {len(text_to_inputs.vocabulary)} pieces, vocab_size={config.vocab_size}. "
            "Use the preprocessing that the model was trained with."
        )
    if text_to_inputs.sequence_length > config.max_position_embeddings:
        raise BadInputError(
            "The longest input must not be longer than the model's position table. "
            f"Received: sequence_length={text_to_inputs.sequence_length}, "
            f"max_position_embeddings={config.max_position_embeddings}. Use "
            f"a `sequence_length` of at most {config.max_position_embeddings}."
        )


def _check_two_segments(config: BertConfig, text_to_inputs: TextToInputs) -> None:
    """Refuse a model with a single segment, which cannot tell a question from its context."""
    if config.type_vocab_size < 2 and text_to_inputs.pair_segments:
        raise BadInputError(
            "A model that reads pairs of texts must have two segments. "
            f"Received: type_vocab_size={config.type_vocab_size}. Use a backbone with type_vocab_size=2."
        )


def _checked_labels(labels: Iterable[str] | None, num_labels: int) -> list[str]:
    """Return the label names as a list, or refuse them."""
    if labels is None:
        return [f"LABEL_{index}" for index in range(num_labels)]
    names = [labels] if isinstance(labels, str) else list(labels)
    if any(not isinstance(name, str) for name in names):
        raise BadInputError(
            f"`labels` must be strings. Received: labels={names!r}. For example, labels=['negative', 'positive']."
        )
    if len(names) != num_labels or len(set(names)) != num_labels:
        raise BadInputError(
            f"`labels` must name each of the model's {num_labels} labels once. Received: {len(names)} names, "
            f"{len(set(names))} of them different: {names!r}. Pass one name for each logit, in the order of the logits."
        )
    return names
