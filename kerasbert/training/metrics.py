"""The metrics that people read, from targets and predictions as NumPy arrays. For the losses, see losses.py.

A metric that is not defined (e.g. the precision of a label that was never predicted, or a correlation with a constant)
is 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

# R rows, C labels


def confusion_matrix(targets: np.ndarray, predictions: np.ndarray, num_labels: int) -> np.ndarray:
    """Count rows `[C, C]` by true label (row of the matrix) and predicted label (column), from ids `[R]`.

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    pairs = np.asarray(targets, np.int64) * num_labels + np.asarray(predictions, np.int64)
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def classification_metrics(confusion: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, F1 and the metrics of each label, for rows with exactly one label.

    Macro F1 is the mean over all labels, including labels without rows.

    Args:
        confusion: counts `[C, C]` of true label by predicted label.
        labels: the names of the C labels.

    Returns:
        `accuracy`, `macro_f1`, `weighted_f1`, `per_label` (name -> `precision`, `recall`, `f1`, `support`) and
        `confusion_matrix` (nested lists).

    Example:
        >>> metrics = classification_metrics(np.array([[1, 0], [1, 1]]), ["no", "yes"])
        >>> round(metrics["accuracy"], 3), round(metrics["macro_f1"], 3), metrics["per_label"]["yes"]["recall"]
        (0.667, 0.667, 0.5)
    """
    hits = np.diag(confusion)
    support = confusion.sum(axis=1)
    per_label = _per_label(hits, confusion.sum(axis=0), support, labels)
    f1 = np.array([metrics["f1"] for metrics in per_label.values()])
    return {
        "accuracy": _ratio(hits.sum(), confusion.sum()),
        "macro_f1": float(f1.mean()),
        "weighted_f1": _ratio((f1 * support).sum(), support.sum()),
        "per_label": per_label,
        "confusion_matrix": confusion.tolist(),
    }


def multi_label_metrics(targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Return metrics for rows with any number of labels.

    Args:
        targets: 0 and 1, `[R, C]`.
        predictions: 0 and 1, `[R, C]`.
        labels: the names of the C labels.

    Returns:
        `accuracy` (share of right decisions), `subset_accuracy` (share of rows without a wrong decision), `micro_f1`,
        `macro_f1` and `per_label` as in `classification_metrics`.

    Example:
        >>> metrics = multi_label_metrics(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), ["a", "b"])
        >>> metrics["accuracy"], metrics["subset_accuracy"], round(metrics["micro_f1"], 2)
        (0.75, 0.5, 0.8)
    """
    targets, predictions = np.asarray(targets, bool), np.asarray(predictions, bool)
    hits = (targets & predictions).sum(axis=0)
    predicted, support = predictions.sum(axis=0), targets.sum(axis=0)
    per_label = _per_label(hits, predicted, support, labels)
    return {
        "accuracy": float((targets == predictions).mean()),
        "subset_accuracy": float((targets == predictions).all(axis=1).mean()),
        "micro_f1": _ratio(2 * hits.sum(), predicted.sum() + support.sum()),
        "macro_f1": float(np.mean([metrics["f1"] for metrics in per_label.values()])),
        "per_label": per_label,
    }


def regression_metrics(targets: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Return metrics for predicted numbers.

    Args:
        targets: `[R]` or `[R, C]`.
        predictions: the same shape.

    Returns:
        `mse`, `mae`, `pearson` and `spearman` (both the mean over the C columns).

    Example:
        >>> regression_metrics(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0]))["spearman"]
        1.0
    """
    targets = np.asarray(targets, np.float64).reshape(len(targets), -1)
    predictions = np.asarray(predictions, np.float64).reshape(targets.shape)
    difference = predictions - targets
    columns = list(zip(targets.T, predictions.T, strict=True))
    return {
        "mse": float((difference**2).mean()),
        "mae": float(np.abs(difference).mean()),
        "pearson": float(np.mean([_correlation(target, predicted) for target, predicted in columns])),
        "spearman": float(np.mean([_correlation(_ranks(target), _ranks(predicted)) for target, predicted in columns])),
    }


def _per_label(
    hits: np.ndarray, predicted: np.ndarray, support: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and support of each label, from counts [C]."""
    return {
        label: {
            "precision": _ratio(hits[index], predicted[index]),
            "recall": _ratio(hits[index], support[index]),
            "f1": _ratio(2 * hits[index], predicted[index] + support[index]),
            "support": int(support[index]),
        }
        for index, label in enumerate(labels)
    }


def _ratio(part: float, whole: float) -> float:
    """Return the quotient, or 0 if the divisor is 0."""
    return float(part / whole) if whole else 0.0


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation of two columns [R], or 0 if one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks [R]. Equal values get the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes - 1) / 2)[group]
