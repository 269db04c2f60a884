"""Metrics of simpler models to compare a fine-tuned model with, on the same rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasbert.data import LabelledTexts
from kerasbert.data.quality import linear_classifier
from kerasbert.training import classification_metrics, majority_class
from kerasbert.training.metrics import confusion_matrix

METRICS = ("accuracy", "macro_f1")


def majority_metrics(train: LabelledTexts, test: LabelledTexts) -> dict[str, float]:
    """Returns the metrics of always predicting the most frequent label of the training rows."""
    labels = train.label_names()
    metrics = majority_class(train.targets(labels), test.targets(labels), labels.names)
    return {name: metrics[name] for name in METRICS}


def linear_metrics(train: LabelledTexts, test: LabelledTexts) -> dict[str, float]:
    """Returns the metrics of logistic regression on TF-IDF features of words and word pairs.

    Raises:
        BadInputError: If scikit-learn is not installed.
    """
    model = linear_classifier()
    labels = train.label_names()
    model.fit(joined_texts(train), train.targets(labels))
    answers = model.predict(joined_texts(test))
    metrics = classification_metrics(confusion_matrix(test.targets(labels), answers, len(labels)), labels.names)
    return {name: metrics[name] for name in METRICS}


def joined_texts(rows: LabelledTexts) -> Sequence[str]:
    """Returns one text for each row, for models that do not read pairs."""
    if rows.pairs is None:
        return rows.texts
    return [f"{text} {pair}" for text, pair in zip(rows.texts, rows.pairs, strict=True)]


def comparison_table(metrics: Mapping[str, Mapping[str, float]], title: str, note: str) -> dict[str, Any]:
    """Returns the key `comparison` of a run's `evaluation.json`: a table with one model per row."""
    rows: Sequence[Any] = [[name, *(row[metric] for metric in METRICS)] for name, row in metrics.items()]
    return {"title": title, "note": note, "columns": ["model", "accuracy", "macro F1"], "rows": rows}
