"""The fine-tuning pipeline's TFMA configuration: metrics, slices, and the thresholds that a model must meet.

For how string labels become numbers that TFMA compares, see `kerasbert_tfx.evaluation.evaluation_views`.
"""

import json
import sys

import tensorflow_model_analysis as tfma
from google.protobuf.wrappers_pb2 import DoubleValue
from tensorflow_model_analysis.proto import config_pb2

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import FineTuneSettings
from kerasbert_tfx.evaluation import classification_metrics, ranking_metrics
from kerasbert_tfx.evaluation.evaluation_views import TEXT_LENGTH

# The signature that takes serialized tf.Examples.
SIGNATURE = "examples"
CANDIDATE = "candidate"

_ERRORS = ("mean_squared_error", "mean_absolute_error")
_DEFAULT_METRIC = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "micro_f1",
    "regression": "mean_squared_error",
    "token_classification": "micro_f1",
}
# A model that is as good as the last one must pass in spite of rounding errors.
_ROUNDING = 1e-9


def eval_config(settings: FineTuneSettings) -> config_pb2.EvalConfig:
    """Returns TFMA's configuration for the task.

    Raises:
        BadInputError: If `metric` is not one of the task's metrics.
    """
    specs = _metrics_specs(settings.task)
    metric = settings.metric or _DEFAULT_METRIC[settings.task]
    _add_threshold(specs, metric, settings)
    is_regression = settings.task == "regression"
    slices = [config_pb2.SlicingSpec(), config_pb2.SlicingSpec(feature_keys=[TEXT_LENGTH])]
    if not is_regression:
        slices.append(config_pb2.SlicingSpec(feature_keys=[settings.label_column]))
    model = {
        "signature_name": SIGNATURE,
        "label_key": settings.label_column,
        "model_type": tfma.TF_GENERIC,
    }
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(name=CANDIDATE, **model),
            config_pb2.ModelSpec(name=tfma.BASELINE_KEY, is_baseline=True, **model),
        ],
        slicing_specs=slices,
        metrics_specs=specs,
    )


def _metrics_specs(task: str) -> list[config_pb2.MetricsSpec]:
    """Returns the metrics of a task, grouped by the view that they are computed on."""
    micro = config_pb2.AggregationOptions(micro_average=True)
    if task == "regression":
        return [
            _spec(
                "number",
                ("MeanSquaredError", "mean_squared_error"),
                ("MeanAbsoluteError", "mean_absolute_error"),
                ("SquaredPearsonCorrelation", "squared_pearson_correlation"),
                ("Calibration", "calibration"),
                ("ExampleCount", "example_count"),
            )
        ]
    is_tokens = task == "token_classification"
    is_multi = is_tokens or task == "multi_label_classification"
    view = "entities" if is_tokens else "class_flags" if is_multi else "class_probabilities"
    counted = _spec(view, ("ExampleCount", "example_count"))
    # The position of an entity in its row has no meaning, so only the average over all entities is a metric.
    for average in ("micro",) if is_tokens else classification_metrics.AVERAGES:
        config = {"name": f"{average}_f1", "average": average, "multi_label": is_multi}
        counted.metrics.add(
            class_name="F1OverLabels", module=classification_metrics.__name__, config=json.dumps(config)
        )
    if is_tokens:
        return [_spec(view, ("Precision", "precision"), ("Recall", "recall"), aggregate=micro), counted]
    counted.metrics.add(
        class_name="AUCOverDecisions",
        module=ranking_metrics.__name__,
        config=json.dumps({"name": "auc", "multi_label": is_multi}),
    )
    if is_multi:
        flags = (("BinaryAccuracy", "accuracy"), ("Calibration", "calibration"))
        return [_spec("class_flags", *flags, aggregate=micro), counted]
    return [_spec("best_class", ("MeanLabel", "accuracy"), ("Calibration", "calibration")), counted]


def _spec(
    view: str, *metrics: tuple[str, str], aggregate: config_pb2.AggregationOptions | None = None
) -> config_pb2.MetricsSpec:
    """Returns metrics, given as (class, name), on one view."""
    configs = [config_pb2.MetricConfig(class_name=kind, config=json.dumps({"name": name})) for kind, name in metrics]
    return config_pb2.MetricsSpec(output_names=[view], metrics=configs, aggregate=aggregate)


def _add_threshold(specs: list[config_pb2.MetricsSpec], metric: str, settings: FineTuneSettings) -> None:
    """Adds the bounds of the settings to the metric."""
    known = {json.loads(config.config)["name"]: config for spec in specs for config in spec.metrics}
    if metric not in known or metric == "example_count":
        raise BadInputError(
            f"`metric` must be one of the task's metrics. Received: metric={metric!r}, task={settings.task!r}. "
            f"Use one of {', '.join(sorted(set(known) - {'example_count'}))}."
        )
    is_error = metric in _ERRORS
    worst = settings.max_metric_decrease + _ROUNDING
    threshold = config_pb2.MetricThreshold(
        change_threshold=config_pb2.GenericChangeThreshold(
            direction=config_pb2.MetricDirection.LOWER_IS_BETTER
            if is_error
            else config_pb2.MetricDirection.HIGHER_IS_BETTER,
            absolute=DoubleValue(value=worst if is_error else -worst),
        )
    )
    # TFMA blesses a first model, which has no baseline, only if the metric has a value threshold.
    bound = (sys.float_info.max if is_error else 0.0) if settings.min_metric is None else settings.min_metric
    threshold.value_threshold.CopyFrom(
        config_pb2.GenericValueThreshold(**{"upper_bound" if is_error else "lower_bound": DoubleValue(value=bound)})
    )
    # On all rows together: a threshold without slices would apply to each slice, even with very few rows.
    known[metric].per_slice_thresholds.add(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)
