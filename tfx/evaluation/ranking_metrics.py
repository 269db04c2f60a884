"""A TFMA metric: the area under the ROC curve, for very confident models.

TFMA's own AUC puts probabilities into 10,000 equal bins of [0, 1]. A fine-tuned classifier gives most labels a
probability within the first bin, and all probabilities of one bin count as equal: with 3 labels the result is wrong by
up to 0.07. Here the bins are equal steps of the log-odds, so 1e-9 and 1e-6 are as far apart as 0.3 and 0.997.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_util
from tensorflow_model_analysis.proto import config_pb2

from kerasbert_tfx.evaluation.row_counting import RowCounting

# Probabilities whose odds differ by less than about 0.1% count as equal.
_STEPS = 1000
# Every float32 between 0 and 1 has log-odds between -104 and 17, so there are at most 121,000 steps.
_SMALLEST, _LARGEST = float(np.finfo(np.float32).smallest_subnormal) / 2, 1 - 2.0**-25


class AUCOverDecisions(tfma.metrics.Metric):
    """The share of pairs of a right and a wrong label in which the right one is more probable. Ties count half.

    Each label of each row is one item, so all labels are ranked together (one against the rest).

    Args:
        name: Name of the metric.
        multi_label: Whether a row's label is a vector of 0 and 1, as opposed to the number of the right label.
    """

    def __init__(self, name: str = "auc", multi_label: bool = False) -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name, multi_label=multi_label)


tfma.metrics.metric_types.register_metric(AUCOverDecisions)


def _computations(
    name: str,
    multi_label: bool,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> tfma.metrics.MetricComputations:
    """Returns the computation of the metric."""
    key = tfma.metrics.MetricKey(
        name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
    )
    counting = _Counting(key, eval_config, multi_label)
    return [tfma.metrics.MetricComputation(keys=[key], preprocessors=None, combiner=counting)]


class _Counting(RowCounting):
    """Counts right and wrong labels by the step of their probability."""

    def __init__(
        self, key: tfma.metrics.MetricKey, eval_config: config_pb2.EvalConfig | None, multi_label: bool
    ) -> None:
        super().__init__(key, eval_config)
        self._multi_label = multi_label

    def create_accumulator(self) -> dict[str, Counter[int]]:
        return {"right": Counter(), "wrong": Counter()}

    def add_input(
        self, accumulator: dict[str, Counter[int]], element: tfma.metrics.StandardMetricInputs
    ) -> dict[str, Counter[int]]:
        for label, probabilities in self.rows(element):
            steps = log_odds_steps(probabilities)
            is_right = self._flags(label, len(steps))
            accumulator["right"].update(steps[is_right].tolist())
            accumulator["wrong"].update(steps[~is_right].tolist())
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[str, Counter[int]]]) -> dict[str, Counter[int]]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for name, counts in accumulator.items():
                merged[name].update(counts)
        return merged

    def extract_output(self, accumulator: dict[str, Any]) -> dict[tfma.metrics.MetricKey, float]:
        return {self._key: _area(accumulator["right"], accumulator["wrong"])}

    def _flags(self, label: np.ndarray, number: int) -> np.ndarray:
        """Returns which labels of a row are right, as booleans."""
        # A label that the model does not know has the number -1, which matches none of them.
        return label > 0 if self._multi_label else np.arange(number) == int(label[0])


def log_odds_steps(probabilities: np.ndarray) -> np.ndarray:
    """Returns the step of each probability.

    Example:
        >>> log_odds_steps(np.array([0.0, 1e-9, 0.5, 0.501, 1.0])).tolist()
        [-103972, -20723, 0, 4, 17329]
    """
    inside = np.clip(probabilities.astype(np.float64), _SMALLEST, _LARGEST)
    return np.rint(_STEPS * (np.log(inside) - np.log1p(-inside))).astype(np.int64)


def _area(right: Counter[int], wrong: Counter[int]) -> float:
    """Returns the area, or NaN if all labels are right or all are wrong."""
    pairs = right.total() * wrong.total()
    area, below = 0.0, 0
    for step in sorted(right.keys() | wrong.keys()):
        area += right[step] * (below + wrong[step] / 2)
        below += wrong[step]
    return area / pairs if pairs else float("nan")
