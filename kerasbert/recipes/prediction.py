"""Evaluation and prediction with a model folder: metrics on labelled rows, and answers for texts."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, Labels, TaggedTexts, labelled_dataset
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
from kerasbert.recipes.length_order import order_by_length, windows
from kerasbert.recipes.token_classification import evaluate_tokens
from kerasbert.settings import ProblemType
from kerasbert.training import evaluate_classifier


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned model with its preprocessing and labels.

    Attributes:
        model: the model.
        text_to_inputs: its preprocessing.
        labels: its labels; None for regression.
        chosen: its precision, if one was chosen.
    """

    model: BertSequenceClassifier | BertTokenClassifier
    text_to_inputs: TextToInputs
    labels: Labels | None
    chosen: Chosen | None = None

    @property
    def problem_type(self) -> ProblemType:
        """The kind of answers that a model of texts gives."""
        return cast(ProblemType, self.model.problem_type)

    @property
    def is_of_tokens(self) -> bool:
        """Whether the model labels words, not texts."""
        return isinstance(self.model, BertTokenClassifier)


def load_classifier(
    path: str | Path, of_tokens: bool = False, precision: str | None = None, sample_texts: Sequence[str] = ()
) -> Classifier:
    """Read a fine-tuned model folder.

    Args:
        path: the folder.
        of_tokens: whether the model may be a token classifier, which `evaluate` measures and `predict` does not take.
        precision: see `choose_precision`. By default, as Keras's dtype policy says.
        sample_texts: texts to choose it with.

    Raises:
        BadInputError: the folder contains no text classifier or regression model, its vocabulary is missing, or the
            precision changes the answers too much.
    """
    loaded = checkpoints.load(path)
    wanted = (BertSequenceClassifier, BertTokenClassifier) if of_tokens else (BertSequenceClassifier,)
    if not isinstance(loaded.model, wanted):
        kind = type(loaded.model).__name__
        rule = "The model must label or score texts" + (", or label words." if of_tokens else ".")
        raise BadInputError(f"{rule} Received: '{path}', a {kind}. {_other_way(loaded.model, path)}")
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model folder must contain its vocabulary. Received: '{path}' without one. Copy its vocab.txt there."
        )
    model, chosen = loaded.model, None
    if precision is not None:
        chosen = choose_precision(model, precision, loaded.text_to_inputs, sample_texts)
        model = chosen.reduced.model
    return Classifier(model, loaded.text_to_inputs, Labels(loaded.labels) if loaded.labels else None, chosen)


def _other_way(model: keras.Model, path: str | Path) -> str:
    """Return what to do with a model of another task."""
    name = shlex.quote(str(path))
    if isinstance(model, BertSentenceEncoder):
        return f"For its vectors, run: kerasbert embed {name}"
    if isinstance(model, BertTokenClassifier | BertSpanPredictor | BertMultipleChoice):
        return (
            f"To ask it, export and serve it: kerasbert export {name} served/model, then kerasbert serve served/model"
        )
    return f"Fine-tune it first: kerasbert fine-tune train.csv --from {name} --output runs/fine-tune"


def evaluate(classifier: Classifier, rows: LabelledTexts | TaggedTexts, batch_size: int = 32) -> dict[str, Any]:
    """Measure a classifier on labelled rows.

    For the metrics, see `evaluate_classifier`, and `evaluate_tokens` for texts with tagged words.

    Raises:
        BadInputError: a label does not occur in the training rows.

    Example:
        >>> rows = read_labelled(["test.csv"])  # doctest: +SKIP
        >>> evaluate(load_classifier("runs/fine-tune/model"), rows)["accuracy"]  # doctest: +SKIP
        0.91
    """
    labels = classifier.labels
    if isinstance(rows, TaggedTexts):
        return evaluate_tokens(classifier.model, rows, Labels(labels or ()), classifier.text_to_inputs, batch_size)
    batches = labelled_dataset(rows.inputs, rows.targets(labels), classifier.text_to_inputs, batch_size)
    return evaluate_classifier(classifier.model, batches, list(labels) if labels else None)


def predict(classifier: Classifier, rows: LabelledTexts, batch_size: int = 32) -> Iterator[dict[str, Any]]:
    """Yield one answer per row, in order: a dict with `text` (and `text_pair`), and by the model's problem type:

    * single label: `label` and its `probability`,
    * multi-label: `labels`, those with a logit of at least 0, and `probabilities` by label,
    * regression: `prediction`.

    Args:
        classifier: the result of `load_classifier`.
        rows: the texts. Labels are ignored.
        batch_size: number of rows in a batch.

    Example:
        >>> rows = read_texts(["questions.csv"])  # doctest: +SKIP
        >>> next(predict(load_classifier("runs/fine-tune/model"), rows))  # doctest: +SKIP
        {'text': 'Where is my card?', 'label': 'card_arrival', 'probability': 0.98}
    """
    forward = compiled_forward(classifier.model)
    order = order_by_length(rows.texts, batch_size, rows.pairs)
    batches = iter(labelled_dataset(rows.select(order).inputs, None, classifier.text_to_inputs, batch_size))
    for window in windows(order, batch_size):
        answers: dict[int, dict[str, Any]] = {}
        for start in range(0, len(window), batch_size):
            outputs = forward(next(batches))
            scores = np.asarray(keras.ops.convert_to_numpy(classifier.model.scores(outputs)), np.float64)
            is_chosen = keras.ops.convert_to_numpy(outputs) >= 0.0
            for row, score, chosen in zip(window[start : start + batch_size], scores, is_chosen, strict=True):
                answers[row] = _answer(score, chosen, classifier.problem_type, classifier.labels)
        for row, answer in sorted(answers.items()):
            shown = {"text": rows.texts[row], **({} if rows.pairs is None else {"text_pair": rows.pairs[row]})}
            yield {**shown, **answer}


def _answer(scores: np.ndarray, is_chosen: np.ndarray, problem_type: str, labels: Labels | None) -> dict[str, Any]:
    """Return one row's answer, from its scores [C] and whether each logit is at least 0 [C]."""
    if problem_type == "regression":
        return {"prediction": float(scores[0]) if len(scores) == 1 else scores.tolist()}
    names: Sequence[str] = labels.names if labels else [str(index) for index in range(len(scores))]
    if problem_type == "multi_label_classification":
        chosen = [name for name, is_in in zip(names, is_chosen, strict=True) if is_in]
        return {"labels": chosen, "probabilities": dict(zip(names, scores.tolist(), strict=True))}
    best = int(scores.argmax())
    return {"label": names[best], "probability": float(scores[best])}
