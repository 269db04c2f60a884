"""Class weights: the weight of each label in the loss, so that rare labels are learned too.

Only the loss is weighted. Metrics count every row once, with or without class weights.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from kerasbert.errors import BadInputError

# R rows, T tokens, C labels

ClassWeights: TypeAlias = Literal["balanced"] | Mapping[str, float]
"""The weights of labels: `"balanced"`, or a dict from label to weight.

Example:
    >>> weights: ClassWeights = {"rare": 5.0}
    >>> class_weights(weights, np.array([0, 1]), ["common", "rare"]).tolist()
    [1.0, 5.0]
"""


def class_weights(
    weights: ClassWeights,
    targets: np.ndarray,
    labels: Sequence[str],
    problem_type: str = "single_label_classification",
    beta: float = 1.0,
) -> np.ndarray:
    """Return the weight of each label, for `compile_classifier`.

    Args:
        weights: `"balanced"`, or a dict from label to weight; labels that the dict leaves out have the weight 1.
            `"balanced"` gives each label the weight rows / (labels * rows of the label), as scikit-learn's
            `class_weight="balanced"` does, so that all labels contribute equally to the loss.
        targets: label ids of the training rows: `[R]`, or `[R, T]` for token classification, where negative ids are
            ignored. For multi-label classification 0 and 1, `[R, C]`.
        labels: the names of the C labels, in the order of their ids.
        problem_type: `"single_label_classification"` (also for token classification) or
            `"multi_label_classification"`.
        beta: with `"balanced"`, rows of a label count as (1 - beta^rows) / (1 - beta) of them, because they repeat each
            other (Cui et al. 2019, "Class-balanced loss based on effective number of samples", equation 2). From 0,
            all labels have the same weight, to 1, weights are proportional to 1 / rows. The mean weight of a row is 1.

    Returns:
        float64 `[C]`. For multi-label classification `[2, C]`: the weights of rows without and with each label. A dict
        sets the weight of the rows with a label; `"balanced"` balances the rows with and without each label.

    Raises:
        BadInputError: `weights` is neither `"balanced"` nor a dict, names an unknown label, or contains a weight that
            is not a finite number greater than 0; or `beta` is not between 0 and 1, or has no `"balanced"`.
        ValueError: the problem type has no labels (regression).

    Example:
        >>> class_weights("balanced", np.array([0, 0, 0, 1]), ["common", "rare"]).round(3).tolist()
        [0.667, 2.0]
        >>> class_weights({"rare": 5}, np.array([0, 0, 0, 1]), ["common", "rare"]).tolist()
        [1.0, 5.0]
    """
    if problem_type not in ("single_label_classification", "multi_label_classification"):
        raise ValueError(
            f"Class weights need a task with labels. Received: problem_type={problem_type!r}. Remove `class_weights`."
        )
    if not 0 <= beta <= 1 or (beta != 1 and weights != "balanced"):
        raise BadInputError(
            "`class_weights_beta` must be between 0 and 1, and 1 unless `class_weights` is balanced. Received: "
            f"class_weights_beta={beta} with class_weights={weights!r}. Set `class_weights` to balanced, or remove "
            "`class_weights_beta`."
        )
    is_multi_label = problem_type == "multi_label_classification"
    if isinstance(weights, Mapping):
        by_label = _checked(weights, labels)
        of_rows_with = np.array([by_label.get(label, 1.0) for label in labels], np.float64)
        return np.stack([np.ones_like(of_rows_with), of_rows_with]) if is_multi_label else of_rows_with
    if weights != "balanced":
        raise BadInputError(
            '`class_weights` must be "balanced" or a weight for each label. '
            f'Received: class_weights={weights!r}. For example, {{"{labels[0]}": 2.0}}.'
        )
    targets = np.asarray(targets)
    if is_multi_label:
        return np.stack(
            [_balanced(np.array(counts), beta) for counts in zip(*_counts_with(targets), strict=True)], axis=-1
        )
    return _balanced(np.bincount(targets[targets >= 0].astype(np.int64), minlength=len(labels)), beta)


def _counts_with(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the rows without and with each label, from 0 and 1 [R, C]."""
    count = (targets > 0).sum(axis=0)
    return len(targets) - count, count


def _balanced(counts: np.ndarray, beta: float) -> np.ndarray:
    """Return weights proportional to 1 / effective count; labels without rows are left out and get the weight 1."""
    is_used, ones = counts > 0, np.maximum(counts, 1)
    effective = ones if beta == 1 else (1 - beta**ones) / (1 - beta)
    return np.where(is_used, counts.sum() / (effective * (counts / effective).sum()), 1.0)


def _checked(weights: Mapping[Any, Any], labels: Sequence[str]) -> dict[str, float]:
    """Return the weights as floats, by label."""
    unknown = sorted(str(label) for label in weights if label not in labels)
    if unknown:
        raise BadInputError(
            "`class_weights` must name labels of the training rows. "
            f"Received: {', '.join(unknown[:10])}. The labels are: {', '.join(labels[:20])}."
        )
    numbers: dict[str, float] = {}
    for label, weight in weights.items():
        try:
            numbers[label] = math.nan if isinstance(weight, bool) else float(weight)
        except (TypeError, ValueError):
            numbers[label] = math.nan
        if not 0 < numbers[label] < math.inf:
            raise BadInputError(
                "A class weight must be a finite number greater than 0. "
                f"Received: {weight!r} for the label {label!r}. For example, 2.0 counts each of its rows twice."
            )
    return numbers
