"""A TFMA metric: the area under the ROC curve, for models that are sure of themselves.

TFMA's own AUC sorts probabilities into 10,000 equal parts of [0, 1]. A fine-tuned classifier gives most labels less
than the first of them, and whatever lies in one part counts as equal: on 3 labels that is up to 0.07 beside the true
area. Here the parts are equal steps of the log-odds, so that 1e-9 and 1e-6 are as far apart as 0.3 and 0.99.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_util

from kerasbert_tfx.evaluation.row_counting import RowCounting

# Probabilities whose odds differ by less than about a thousandth count as equal.
_STEPS = 1000
# All that a float32 can be between 0 and 1 has log-odds between -104 and 17: at most 121,000 steps to count.
_SMALLEST, _LARGEST = float(np.finfo(np.float32).smallest_subnormal) / 2, 1 - 2.0**-25


class AUCOverDecisions(tfma.metrics.Metric):  # type: ignore[misc]
    """The share of pairs of a right and a wrong answer in which the right one is the more probable; ties are half.

    An answer is one label of one row, so that all labels are ranked together (one against the rest).

    Args:
        name: of the figure.
        multi_label: whether a row's label holds 0 or 1 for each label, and not the number of the right one.
    """

    def __init__(self, name: str = "auc", multi_label: bool = False) -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name, multi_label=multi_label)


tfma.metrics.metric_types.register_metric(AUCOverDecisions)


def _computations(
    name: str,
    multi_label: bool,
    eval_config: tfma.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> tfma.metrics.MetricComputations:
    """The counting behind the figure."""
    key = tfma.metrics.MetricKey(
        name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
    )
    counting = _Counting(key, eval_config, multi_label)
    return [tfma.metrics.MetricComputation(keys=[key], preprocessors=None, combiner=counting)]


class _Counting(RowCounting):
    """Counts right and wrong answers by the step that their probability lies in."""

    def __init__(self, key: tfma.metrics.MetricKey, eval_config: tfma.EvalConfig | None, multi_label: bool) -> None:
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
        """Which of a row's answers are right."""
        # A label that the model does not know is -1, and none of them.
        return label > 0 if self._multi_label else np.arange(number) == int(label[0])


def log_odds_steps(probabilities: np.ndarray) -> np.ndarray:
    """The step of each probability.

    Example:
        >>> log_odds_steps(np.array([0.0, 1e-9, 0.5, 0.501, 1.0])).tolist()
        [-103972, -20723, 0, 4, 17329]
    """
    inside = np.clip(probabilities.astype(np.float64), _SMALLEST, _LARGEST)
    return np.rint(_STEPS * (np.log(inside) - np.log1p(-inside))).astype(np.int64)


def _area(right: Counter[int], wrong: Counter[int]) -> float:
    """The area, or NaN where all answers are right or all are wrong."""
    pairs = right.total() * wrong.total()
    area, below = 0.0, 0
    for step in sorted(right.keys() | wrong.keys()):
        area += right[step] * (below + wrong[step] / 2)
        below += wrong[step]
    return area / pairs if pairs else float("nan")
