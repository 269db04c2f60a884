"""Metrics of a model over a whole dataset: exact means over all rows, never means of the batches' means.

For the definition of the metrics, see metrics.py.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.models.inference import compiled_forward
from kerasbert.settings import PROBLEM_TYPES
from kerasbert.training.losses import MaskedLMLoss
from kerasbert.training.metrics import (
    classification_metrics,
    confusion_matrix,
    multi_label_metrics,
    regression_metrics,
)

# B batch, P masked positions, V vocabulary, C labels, R rows of the whole dataset

# The metrics of `evaluate_classifier` that are single numbers, without counts, by problem type.
CLASSIFIER_METRICS = {
    "single_label_classification": ("loss", "accuracy", "macro_f1", "weighted_f1"),
    "multi_label_classification": ("loss", "accuracy", "subset_accuracy", "micro_f1", "macro_f1"),
    "regression": ("loss", "mse", "mae", "pearson", "spearman"),
}


def evaluate_pretrainer(model: keras.Model, dataset: Iterable[Any]) -> dict[str, float]:
    """Measure masked LM and next-sentence prediction on a finite dataset.

    Args:
        model: a model with the outputs `masked_lm` `[B, P, V]` and `next_sentence` `[B, 2]`. It need not be compiled.
        dataset: batches (inputs, labels, sample weights), as returned by `pretraining_dataset`.

    Returns:
        `masked_lm_loss` and `masked_lm_accuracy` (weighted means over masked positions), `next_sentence_loss` and
        `next_sentence_accuracy` (over rows), `loss` (the sum of both losses), and the counts `mask_positions` and
        `rows`.

    Raises:
        BadInputError: the dataset has no masked position or no row.

    Example:
        >>> from kerasbert import BertBackbone, BertConfig, BertPretrainer
        >>> model = BertPretrainer(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> ids = np.ones((2, 5), "int32")
        >>> inputs = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids, "mask_positions": ids[:, :3]}
        >>> labels = {"masked_lm": ids[:, :3], "next_sentence": ids[:, 0]}
        >>> weights = {"masked_lm": np.ones((2, 3)), "next_sentence": np.ones(2)}
        >>> metrics = evaluate_pretrainer(model, [(inputs, labels, weights)])
        >>> metrics["mask_positions"], metrics["rows"]
        (6.0, 2.0)
    """
    forward = compiled_forward(model)
    names = ("masked_lm", "next_sentence")
    sums = {name: np.zeros(3) for name in names}  # loss, right answers, weights
    for inputs, labels, weights in _batches(dataset):
        outputs = forward(inputs)
        for name in names:
            target, weight = _array(labels[name]), np.asarray(_array(weights[name]), np.float64)
            losses = np.asarray(_cross_entropy(target, outputs[name]), np.float64)
            is_right = _array(ops.argmax(outputs[name], axis=-1)) == target
            sums[name] += ((losses * weight).sum(), (is_right * weight).sum(), weight.sum())
    metrics: dict[str, float] = {}
    for name, (total_loss, total_right, total_weight) in sums.items():
        if total_weight == 0:
            raise BadInputError(
                f"The evaluation data must have rows with a weight for {name}. Received: none. "
                "Use more text, or a smaller batch size if incomplete batches are dropped."
            )
        metrics[f"{name}_loss"] = float(total_loss / total_weight)
        metrics[f"{name}_accuracy"] = float(total_right / total_weight)
    metrics["loss"] = metrics["masked_lm_loss"] + metrics["next_sentence_loss"]
    metrics["mask_positions"], metrics["rows"] = (float(sums[name][2]) for name in names)
    return metrics


def evaluate_classifier(
    model: keras.Model,
    dataset: Iterable[Any],
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
) -> dict[str, Any]:
    """Measure a classifier or a regression model on a finite dataset.

    The model is compiled only once, even if it is evaluated several times. Sample weights of the dataset are ignored.

    Args:
        model: a model with one output, logits `[B, C]`. It need not be compiled.
        dataset: batches (inputs, labels): ids `[B]` for a single label, 0 and 1 `[B, C]` for several labels, numbers
            `[B]` or `[B, C]` for regression.
        labels: the names of the C labels. Defaults to their numbers.
        problem_type: `"single_label_classification"`, `"multi_label_classification"` or `"regression"`. Defaults to
            the model's own `problem_type`, or to a single label.

    Returns:
        `loss`, `rows` and the result of `classification_metrics`, `multi_label_metrics` or `regression_metrics`.

    Raises:
        BadInputError: the dataset is empty, or a label's number is not one of the model's.
        ValueError: `labels` does not have one name for each of the model's outputs, or the problem type is unknown.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="identity")])
        >>> rows, ids = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), np.array([0, 1, 0])
        >>> metrics = evaluate_classifier(model, [(rows, ids)], labels=["no", "yes"])
        >>> round(metrics["accuracy"], 3), metrics["confusion_matrix"]
        (0.667, [[1, 1], [0, 1]])
    """
    problem_type = problem_type or getattr(model, "problem_type", None) or "single_label_classification"
    logits, targets = _answers(model, dataset)  # [R, C], [R, ...]
    num_labels = logits.shape[1]
    names = [str(label) for label in (range(num_labels) if labels is None else labels)]
    if problem_type != "regression" and len(names) != num_labels:
        raise ValueError(
            f"`labels` must name each of the model's {num_labels} outputs. Received: {len(names)} names. "
            "Use the labels that the model was trained with."
        )
    if problem_type == "regression":
        metrics: dict[str, Any] = dict(regression_metrics(targets, logits))
        loss = metrics["mse"]
    elif problem_type == "multi_label_classification":
        loss = float(np.mean(np.logaddexp(0.0, logits) - logits * targets))
        metrics = multi_label_metrics(targets, logits > 0.0, names)
    elif problem_type == "single_label_classification":
        ids = _checked_ids(targets, num_labels)
        loss = float(np.mean(_cross_entropy(ids, logits)))
        metrics = classification_metrics(confusion_matrix(ids, logits.argmax(axis=1), num_labels), names)
    else:
        raise ValueError(
            f"`problem_type` must be one of {', '.join(PROBLEM_TYPES)}. "
            f"Received: problem_type={problem_type!r}. Choose one of them."
        )
    return {"loss": loss, "rows": len(targets), **metrics}


def majority_class(training_targets: Iterable[Any], targets: Iterable[Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of always predicting the most frequent label of the training data, as a baseline.

    Args:
        training_targets: label numbers of the training rows.
        targets: label numbers of the rows to measure on.
        labels: the names, by number.

    Returns:
        `label`, which is always predicted, and the result of `classification_metrics`.

    Raises:
        BadInputError: there are no training rows or no rows to measure on.

    Example:
        >>> metrics = majority_class([0, 1, 1], [1, 1, 0, 1], ["no", "yes"])
        >>> metrics["label"], metrics["accuracy"]
        ('yes', 0.75)
    """
    counts = Counter(int(target) for target in training_targets)
    ids = np.array([int(target) for target in targets], np.int64)
    if not counts or not len(ids):
        raise BadInputError(
            "The majority class needs training rows and rows to measure on. "
            f"Received: {counts.total()} and {len(ids)}. Pass at least one of each."
        )
    answer = min(counts, key=lambda label: (-counts[label], label))
    confusion = confusion_matrix(ids, np.full_like(ids, answer), len(labels))
    return {"label": labels[answer], **classification_metrics(confusion, labels)}


def _answers(model: keras.Model, dataset: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return all logits, float64 [R, C], and all targets [R, ...]."""
    forward = compiled_forward(model)
    logits, targets = [], []
    for inputs, target, _ in _batches(dataset):
        logits.append(np.asarray(_array(ops.cast(forward(inputs), "float32")), np.float64))
        targets.append(_array(target))
    if not targets:
        raise BadInputError("The evaluation data must have at least one row. Received: none. Use more rows.")
    return np.concatenate(logits), np.concatenate(targets)


def _batches(dataset: Iterable[Any]) -> Iterable[tuple[Any, Any, Any]]:
    """Yield (inputs, labels, weights or None) of each batch, as arrays that the backend accepts."""
    if keras.backend.backend() != "tensorflow" and hasattr(dataset, "as_numpy_iterator"):
        dataset = dataset.as_numpy_iterator()
    for batch in dataset:
        yield keras.utils.unpack_x_y_sample_weight(batch)


def _cross_entropy(targets: Any, logits: Any) -> np.ndarray:
    """Return the softmax cross-entropy of each id, float32, from the loss that training uses."""
    return _array(MaskedLMLoss().call(targets, ops.convert_to_tensor(logits)))


def _checked_ids(targets: np.ndarray, num_labels: int) -> np.ndarray:
    """Return label numbers [R], after checking that all are the model's."""
    ids = np.asarray(targets, np.int64).reshape(len(targets))
    if ids.min() < 0 or ids.max() >= num_labels:
        raise BadInputError(
            f"Label numbers must be from 0 to {num_labels - 1}. Received: {ids.min()} to {ids.max()}. "
            "Map the labels to the numbers that the model was trained with."
        )
    return ids


def _array(tensor: Any) -> np.ndarray:
    """Return a tensor's values as a NumPy array."""
    return np.asarray(ops.convert_to_numpy(tensor))
