"""Evaluation and prediction with a model folder: metrics on labelled rows, and answers for texts."""

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from kerasbert import checkpoints
from kerasbert.data import AskedQuestions, LabelledTexts, Labels, TaggedTexts, labelled_dataset
from kerasbert.errors import BadInputError
from kerasbert.models import (
    BertMultipleChoice,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
)
from kerasbert.models.inference import compiled_forward
from kerasbert.models.precision_choice import Chosen, choose_precision
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.length_order import answers_in_order, order_by_length
from kerasbert.recipes.tasks.question_answering import evaluate_answers, find_answers
from kerasbert.recipes.tasks.word_tagging import find_entities
from kerasbert.recipes.token_classification import evaluate_tokens
from kerasbert.settings import AnswerSettings, ProblemType
from kerasbert.training import evaluate_classifier

_DEFAULTS = AnswerSettings()
# Models whose task is not one of their problem types.
_TASKS = {BertTokenClassifier: "token_classification", BertSpanPredictor: "question_answering"}


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned model with its preprocessing and labels.

    Attributes:
        model: the model.
        text_to_inputs: its preprocessing.
        labels: its labels; None for regression and question answering.
        chosen: its precision, if one was chosen.
    """

    model: BertSequenceClassifier | BertTokenClassifier | BertSpanPredictor
    text_to_inputs: TextToInputs
    labels: Labels | None
    chosen: Chosen | None = None

    @property
    def problem_type(self) -> ProblemType:
        """The kind of answers that a model of texts gives."""
        return cast(ProblemType, self.model.problem_type)

    @property
    def task(self) -> str:
        """The model's task, as `FineTuningSettings.task` names it."""
        return _TASKS.get(type(self.model)) or self.problem_type

    @property
    def label_names(self) -> Sequence[str]:
        """The names of the labels, which are numbers if the model has none."""
        return self.labels.names if self.labels else [str(index) for index in range(self.model.num_labels)]


def load_classifier(path: str | Path, precision: str | None = None, sample_texts: Sequence[str] = ()) -> Classifier:
    """Read a fine-tuned model folder.

    Args:
        path: the folder.
        precision: see `choose_precision`. By default, as Keras's dtype policy says.
        sample_texts: texts to choose it with.

    Raises:
        BadInputError: the folder contains no model that labels or scores texts or words, its vocabulary is missing, or
            the precision changes the answers too much.
    """
    loaded = checkpoints.load(path)
    if not isinstance(loaded.model, BertSequenceClassifier | BertTokenClassifier | BertSpanPredictor):
        kind = type(loaded.model).__name__
        raise BadInputError(
            f"The model must label or score texts, label words, or answer questions. Received: '{path}', a {kind}. "
            f"{_other_way(loaded.model, path)}"
        )
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model folder must contain its vocabulary. Received: '{path}' without one. Copy its vocab.txt there."
        )
    classifier = Classifier(loaded.model, loaded.text_to_inputs, Labels(loaded.labels) if loaded.labels else None)
    return classifier if precision is None else in_precision(classifier, precision, sample_texts)


def in_precision(classifier: Classifier, precision: str, sample_texts: Sequence[str] = ()) -> Classifier:
    """Return the model in another precision. For the arguments and errors, see `load_classifier`."""
    chosen = choose_precision(classifier.model, precision, classifier.text_to_inputs, sample_texts)
    return dataclasses.replace(classifier, model=chosen.reduced.model, chosen=chosen)


def _other_way(model: keras.Model, path: str | Path) -> str:
    """Return what to do with a model of another task."""
    name = shlex.quote(str(path))
    if isinstance(model, BertSentenceEncoder):
        return f"For its vectors, run: kerasbert embed {name}"
    if isinstance(model, BertMultipleChoice):
        return (
            f"To ask it, export and serve it: kerasbert export {name} served/model, then kerasbert serve served/model"
        )
    return f"Fine-tune it first: kerasbert fine-tune train.csv --from {name} --output runs/fine-tune"


def evaluate(
    classifier: Classifier,
    rows: LabelledTexts | TaggedTexts | AskedQuestions,
    batch_size: int = 32,
    answering: AnswerSettings = _DEFAULTS,
) -> dict[str, Any]:
    """Measure a classifier on labelled rows.

    For the metrics, see `evaluate_classifier`; `evaluate_tokens` for texts with tagged words; `evaluate_answers` for
    questions.

    Args:
        classifier: the result of `load_classifier`.
        rows: the labelled rows.
        batch_size: number of rows in a batch.
        answering: how words are tagged and questions are answered.

    Raises:
        BadInputError: a label does not occur in the training rows.

    Example:
        >>> rows = read_labelled(["test.csv"])  # doctest: +SKIP
        >>> evaluate(load_classifier("runs/fine-tune/model"), rows)["accuracy"]  # doctest: +SKIP
        0.91
    """
    labels = classifier.labels
    if isinstance(rows, TaggedTexts):
        names, to_inputs = Labels(classifier.label_names), classifier.text_to_inputs
        return evaluate_tokens(classifier.model, rows, names, to_inputs, batch_size, answering.constrain_tags)
    if isinstance(rows, AskedQuestions):
        return evaluate_answers(classifier.model, rows, classifier.text_to_inputs, batch_size, answering)
    batches = labelled_dataset(rows.inputs, rows.targets(labels), classifier.text_to_inputs, batch_size)
    return evaluate_classifier(classifier.model, batches, list(labels) if labels else None)


def predict(
    classifier: Classifier,
    rows: LabelledTexts | AskedQuestions,
    batch_size: int = 32,
    answering: AnswerSettings = _DEFAULTS,
) -> Iterator[dict[str, Any]]:
    """Yield one answer per row, in order: a dict with `text` (and `text_pair`) or `question`, and by the model's task:

    * single label: `label` and its `probability`,
    * multi-label: `labels`, those with a logit of at least 0, and `probabilities` by label,
    * regression: `prediction`,
    * token classification: the result of `find_entities`,
    * question answering: the result of `find_answers`.

    Args:
        classifier: the result of `load_classifier`.
        rows: the texts, or the questions. Labels are ignored.
        batch_size: number of rows in a batch.
        answering: how words are tagged and questions are answered.

    Example:
        >>> rows = read_texts(["questions.csv"])  # doctest: +SKIP
        >>> next(predict(load_classifier("runs/fine-tune/model"), rows))  # doctest: +SKIP
        {'text': 'Where is my card?', 'label': 'card_arrival', 'probability': 0.98}
    """
    if isinstance(rows, AskedQuestions):
        yield from find_answers(classifier.model, classifier.text_to_inputs, rows, batch_size, answering)
        return
    if classifier.task == "token_classification":
        yield from _tagged_answers(classifier, rows, batch_size, answering.constrain_tags)
        return
    forward = compiled_forward(classifier.model)
    order = order_by_length(rows.texts, batch_size, rows.pairs)
    batches = iter(labelled_dataset(rows.select(order).inputs, None, classifier.text_to_inputs, batch_size))
    names = classifier.label_names

    def answer(_: Sequence[int]) -> list[dict[str, Any]]:
        outputs = forward(next(batches))
        scores = np.asarray(keras.ops.convert_to_numpy(classifier.model.scores(outputs)), np.float64)
        is_chosen = keras.ops.convert_to_numpy(outputs) >= 0.0
        return [_answer(*row, classifier.problem_type, names) for row in zip(scores, is_chosen, strict=True)]

    for row, answered in enumerate(answers_in_order(order, batch_size, answer)):
        shown = {"text": rows.texts[row], **({} if rows.pairs is None else {"text_pair": rows.pairs[row]})}
        yield {**shown, **answered}


def _tagged_answers(
    classifier: Classifier, rows: LabelledTexts, batch_size: int, constrain_tags: bool
) -> Iterator[dict[str, Any]]:
    """Yield the entities of each text."""
    if rows.pairs is not None:
        raise BadInputError("A token classifier takes single texts. Received: pairs of texts. Leave out `pair_column`.")

    def answer(chosen: Sequence[int]) -> list[dict[str, Any]]:
        texts = [rows.texts[row] for row in chosen]
        to_inputs, labels = classifier.text_to_inputs, classifier.label_names
        found = find_entities(classifier.model, to_inputs, labels, texts, constrain_tags)
        return [{"text": text, **entities} for text, entities in zip(texts, found, strict=True)]

    yield from answers_in_order(order_by_length(rows.texts, batch_size), batch_size, answer)


def _answer(scores: np.ndarray, is_chosen: np.ndarray, problem_type: str, names: Sequence[str]) -> dict[str, Any]:
    """Return one row's answer, from its scores [C] and whether each logit is at least 0 [C]."""
    if problem_type == "regression":
        return {"prediction": float(scores[0]) if len(scores) == 1 else scores.tolist()}
    if problem_type == "multi_label_classification":
        chosen = [name for name, is_in in zip(names, is_chosen, strict=True) if is_in]
        return {"labels": chosen, "probabilities": dict(zip(names, scores.tolist(), strict=True))}
    best = int(scores.argmax())
    return {"label": names[best], "probability": float(scores[best])}
