"""What TFMA metrics that count rows share: the way from TFMA's inputs to the labels and probabilities of each row."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_util


class RowCounting(beam.CombineFn):  # type: ignore[misc]
    """Counts rows for one figure. What is counted, and how the figure comes of it, is the subclass's business.

    Args:
        key: of the figure.
        eval_config: TFMA's configuration.
    """

    def __init__(self, key: tfma.metrics.MetricKey, eval_config: tfma.EvalConfig | None) -> None:
        self._key = key
        self._eval_config = eval_config

    def rows(self, element: tfma.metrics.StandardMetricInputs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The label, [1] or [C], and the probabilities, [C], of each row."""
        for label, prediction, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
            squeeze=False,
        ):
            yield np.ravel(label), np.ravel(prediction)
