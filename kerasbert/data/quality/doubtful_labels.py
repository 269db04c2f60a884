"""Finds rows whose label is probably wrong, by confident learning (Northcutt et al. 2021).

A linear model is trained on parts of the rows and asked about the others. A label is doubtful if another label is as
probable as it usually is for its own rows. The rule is a dozen lines of NumPy here, because cleanlab, the authors'
library, depends on much more than the rule.

Shapes: `N` rows, `C` labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbert.data.quality.linear_classifier import linear_classifier

# In how many parts the rows are divided. A label needs a row in each.
FOLDS = 5


@dataclass(frozen=True)
class DoubtfulLabel:
    """A row whose label is probably wrong.

    Attributes:
        row: the row, from 0.
        label: its label, as a number.
        suggested: the label that fits better.
        probability: the probability of its label, by a model that has not seen the row.
        suggested_probability: the probability of the other label.
    """

    row: int
    label: int
    suggested: int
    probability: float
    suggested_probability: float


def out_of_fold_probabilities(
    texts: Sequence[str], labels: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of labels by models that have not seen the row.

    The model is `linear_classifier()`.

    Args:
        texts: the texts of N rows.
        labels: int [N], numbers from 0.
        folds: in how many parts the rows are divided. Empty rows, and rows of labels with fewer rows than that, are
            left out.
        seed: random seed for the division.

    Returns:
        The rows that were asked, int [M], and their probabilities, float [M, C]. There are none if fewer than two
        labels have enough rows.

    Raises:
        BadInputError: scikit-learn is not installed.

    Example:
        >>> texts = ["a good day", "a bad day"] * 10
        >>> rows, probabilities = out_of_fold_probabilities(texts, np.arange(20) % 2)
        >>> len(rows), probabilities.argmax(axis=1)[:4].tolist()
        (20, [0, 1, 0, 1])
    """
    model = linear_classifier()
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    labels = np.asarray(labels)
    has_text = np.array([bool(text.strip()) for text in texts])
    counts = np.bincount(labels[has_text], minlength=labels.max() + 1)
    rows = np.flatnonzero(has_text & (counts[labels] >= folds))
    kept = np.flatnonzero(counts >= folds)
    probabilities = np.zeros((len(rows), len(counts)))
    if len(kept) < 2:
        return rows[:0], probabilities[:0]
    division = StratifiedKFold(folds, shuffle=True, random_state=seed)
    chosen = [texts[row] for row in rows]
    probabilities[:, kept] = cross_val_predict(model, chosen, labels[rows], cv=division, method="predict_proba")
    return rows, probabilities


def doubtful_labels(labels: np.ndarray, probabilities: np.ndarray) -> list[DoubtfulLabel]:
    """Return the rows whose label is probably wrong, the most doubtful first.

    Args:
        labels: int [N].
        probabilities: float [N, C] by models that have not seen the row, e.g. those of `out_of_fold_probabilities`.

    Source: Northcutt, Jiang and Chuang 2021, "Confident Learning", equation 2: a label is confident if its probability
    is at least the mean probability of that label among its own rows.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]])
        >>> [(one.row, one.suggested) for one in doubtful_labels(np.array([0, 0, 1, 0]), probabilities)]
        [(3, 1)]
    """
    labels = np.asarray(labels)
    rows = np.arange(len(labels))
    sums = np.zeros(probabilities.shape[1])
    np.add.at(sums, labels, probabilities[rows, labels])
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    usual = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)  # [C]
    confident = np.where(probabilities >= usual, probabilities, -np.inf)  # [N, C]
    best = confident.argmax(axis=1)
    is_doubtful = (confident.max(axis=1) > -np.inf) & (best != labels)
    found = [
        DoubtfulLabel(
            int(row),
            int(labels[row]),
            int(best[row]),
            float(probabilities[row, labels[row]]),
            float(probabilities[row, best[row]]),
        )
        for row in np.flatnonzero(is_doubtful)
    ]
    return sorted(found, key=lambda one: one.probability - one.suggested_probability)


def labels_as_numbers(labels: Sequence[Any]) -> tuple[np.ndarray, list[Any]]:
    """Return the number of each row's label, and the labels in sorted order.

    Args:
        labels: the label of each row.

    Example:
        >>> labels_as_numbers(["b", "a", "b"])
        (array([1, 0, 1]), ['a', 'b'])
    """
    names = sorted(set(labels))
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[label] for label in labels], np.int64), names
