"""A TFMA metric: F1 over labels, with the averages of `kerasbert.training`.

TFMA's own F1 must know the number of classes when the pipeline is defined.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_util
from tensorflow_model_analysis.proto import config_pb2

from kerasbert_tfx.evaluation.row_counting import RowCounting

AVERAGES = ("macro", "micro", "weighted")
_THRESHOLD = 0.5


class F1OverLabels(tfma.metrics.Metric):
    """F1 score for single-label and multi-label classification.

    Args:
        name: Name of the metric.
        average: "macro" (mean over all labels that the model knows, including those without rows), "micro" (over all
            decisions) or "weighted" (mean weighted by the number of rows).
        multi_label: Whether every label with a probability above 0.5 is predicted, as opposed to the best one only.
    """

    def __init__(self, name: str = "macro_f1", average: str = "macro", multi_label: bool = False) -> None:
        if average not in AVERAGES:
            raise ValueError(
                f"`average` must be one of {', '.join(AVERAGES)}. Received: average={average!r}. Use one of them."
            )
        super().__init__(
            metric_util.merge_per_key_computations(_computations), name=name, average=average, multi_label=multi_label
        )


tfma.metrics.metric_types.register_metric(F1OverLabels)


def _computations(
    name: str,
    average: str,
    multi_label: bool,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> tfma.metrics.MetricComputations:
    """Returns the computation of one metric."""
    key = tfma.metrics.MetricKey(
        name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
    )
    counting = _Counting(key, eval_config, average, multi_label)
    return [tfma.metrics.MetricComputation(keys=[key], preprocessors=None, combiner=counting)]


class _Counting(RowCounting):
    """Counts the correct predictions, the predictions and the true rows of each label."""

    def __init__(
        self, key: tfma.metrics.MetricKey, eval_config: config_pb2.EvalConfig | None, average: str, multi_label: bool
    ) -> None:
        super().__init__(key, eval_config)
        self._average = average
        self._multi_label = multi_label

    def create_accumulator(self) -> dict[str, Any]:
        return {"hits": Counter(), "predicted": Counter(), "support": Counter(), "num_labels": 0}

    def add_input(self, accumulator: dict[str, Any], element: tfma.metrics.StandardMetricInputs) -> dict[str, Any]:
        for label, probabilities in self.rows(element):
            true, answers = self._classes(label, probabilities)
            accumulator["num_labels"] = max(accumulator["num_labels"], len(probabilities))
            accumulator["hits"].update(true & answers)
            accumulator["predicted"].update(answers)
            accumulator["support"].update(true)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[str, Any]]) -> dict[str, Any]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for name in ("hits", "predicted", "support"):
                merged[name].update(accumulator[name])
            merged["num_labels"] = max(merged["num_labels"], accumulator["num_labels"])
        return merged

    def extract_output(self, accumulator: dict[str, Any]) -> dict[tfma.metrics.MetricKey, float]:
        hits, predicted, support = (accumulator[name] for name in ("hits", "predicted", "support"))
        f1 = {label: _f1(hits[label], predicted[label] + support[label]) for label in range(accumulator["num_labels"])}
        metrics = {
            "macro": sum(f1.values()) / max(1, len(f1)),
            "micro": _f1(hits.total(), predicted.total() + support.total()),
            "weighted": sum(f1[label] * support[label] for label in f1) / max(1, support.total()),
        }
        return {self._key: metrics[self._average]}

    def _classes(self, label: np.ndarray, probabilities: np.ndarray) -> tuple[set[int], set[int]]:
        """Returns the true and the predicted labels of one row."""
        if self._multi_label:
            return set(np.flatnonzero(label)), set(np.flatnonzero(probabilities > _THRESHOLD))
        return {int(label[0])}, {int(probabilities.argmax())}


def _f1(hits: float, both: float) -> float:
    """Returns 2 * hits / (predicted + true), or 0 if there are none."""
    return 2 * hits / both if both else 0.0
