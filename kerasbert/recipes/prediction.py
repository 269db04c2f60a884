"""Evaluation and prediction with a model folder, on tables and on bare texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, Labels, labelled_dataset
from kerasbert.data.tables.labelled import ProblemType
from kerasbert.errors import BadInputError
from kerasbert.models import BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs
from kerasbert.training import evaluate_classifier


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned model with what it needs to answer texts."""

    model: BertSequenceClassifier
    text_to_inputs: TextToInputs
    labels: Labels | None

    @property
    def problem_type(self) -> ProblemType:
        """What kind of answers the model gives."""
        return cast(ProblemType, self.model.problem_type)


def load_classifier(path: str | Path) -> Classifier:
    """Reads a fine-tuned model folder.

    Raises:
        BadInputError: the folder holds no fine-tuned classifier, or its vocabulary is missing.
    """
    loaded = checkpoints.load(path)
    if not isinstance(loaded.model, BertSequenceClassifier):
        raise BadInputError(
            f"Prediction needs a fine-tuned model. Received: '{path}', which holds a {type(loaded.model).__name__}. "
            "Fine-tune it first with `kerasbert fine-tune --from`."
        )
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model must have its vocabulary beside it. Received: '{path}' without one. Copy its vocab.txt there."
        )
    return Classifier(loaded.model, loaded.text_to_inputs, Labels(loaded.labels) if loaded.labels else None)


def evaluate(classifier: Classifier, rows: LabelledTexts, batch_size: int = 32) -> dict[str, Any]:
    """The task's metrics on labelled rows: see `evaluate_classifier`.

    Raises:
        BadInputError: a label is unseen in training.
    """
    labels = classifier.labels
    batches = labelled_dataset(rows.inputs, rows.targets(labels), classifier.text_to_inputs, batch_size)
    return evaluate_classifier(classifier.model, batches, list(labels) if labels else None)


def predict(classifier: Classifier, rows: LabelledTexts, batch_size: int = 32) -> Iterator[dict[str, Any]]:
    """Gives one answer a row, in order.

    * single label: `label`, `probability` of it
    * multi-label: `labels`, those with a probability of at least a half, and `probabilities` by label
    * regression: `prediction`
    """
    done = 0
    for inputs in labelled_dataset(rows.inputs, None, classifier.text_to_inputs, batch_size):
        logits = np.asarray(keras.ops.convert_to_numpy(classifier.model(inputs, training=False)), np.float64)
        for row in logits:
            shown = {"text": rows.texts[done], **({} if rows.pairs is None else {"text_pair": rows.pairs[done]})}
            yield {**shown, **_answer(row, classifier.problem_type, classifier.labels)}
            done += 1


def _answer(logits: np.ndarray, problem_type: str, labels: Labels | None) -> dict[str, Any]:
    """One row's logits [C] in words."""
    if problem_type == "regression":
        return {"prediction": float(logits[0]) if len(logits) == 1 else logits.tolist()}
    names: Sequence[str] = labels.names if labels else [str(index) for index in range(len(logits))]
    if problem_type == "multi_label_classification":
        probabilities = 1 / (1 + np.exp(-logits))
        by_label = dict(zip(names, probabilities.tolist(), strict=True))
        return {"labels": [name for name, share in by_label.items() if share >= 0.5], "probabilities": by_label}
    exponentials = np.exp(logits - logits.max())
    best = int(logits.argmax())
    return {"label": names[best], "probability": float(exponentials[best] / exponentials.sum())}
