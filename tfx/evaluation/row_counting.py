"""The base class of our TFMA metrics: it turns TFMA's inputs into the labels and probabilities of each row."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_util
from tensorflow_model_analysis.proto import config_pb2


class RowCounting(beam.CombineFn):
    """Counts rows for one metric. Subclasses define what is counted, and how the metric is computed from it.

    Args:
        key: Key of the metric.
        eval_config: TFMA's configuration.
    """

    def __init__(self, key: tfma.metrics.MetricKey, eval_config: config_pb2.EvalConfig | None) -> None:
        self._key = key
        self._eval_config = eval_config

    def rows(self, element: tfma.metrics.StandardMetricInputs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the label, [1] or [C], and the probabilities, [C], of each row."""
        for label, prediction, _ in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
            squeeze=False,
        ):
            yield np.ravel(label), np.ravel(prediction)
