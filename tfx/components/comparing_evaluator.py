"""TFX's Evaluator, which compares a candidate with the newest pushed model and blesses it unless it is worse.

The baseline is read from the folder of pushed models when the candidate is evaluated. A Resolver of the latest blessed
model would return the candidate itself in an unchanged run, which would then be evaluated again. Kubeflow Pipelines
has no Resolver either.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_artifacts import Model, ModelBlessing, ModelEvaluation
from tfx.utils import io_utils, json_utils, path_utils

from kerasbert.errors import BadInputError
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.pushed_versions import newest_version

_SAVED_MODEL_FILE = "saved_model.pb"


class ComparingEvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """The inputs, outputs and parameters of TFX's Evaluator, and the folder of pushed models."""

    PARAMETERS = {  # noqa: RUF012 (TFX declares it so)
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        "push_folder": ExecutionParameter(type=str),
    }


class ComparingEvaluatorExecutor(Executor):
    """Finds the baseline, evaluates, and stores a summary of the metrics next to TFMA's own files."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the candidate, and the baseline if there is one.

        Raises:
            BadInputError: If the newest pushed version is not a SavedModel.
        """
        evaluation = artifact_utils.get_single_uri(output_dict[standard_component_specs.EVALUATION_KEY])
        pushed = newest_version(exec_properties["push_folder"])
        with _as_artifact(pushed, f"{evaluation}/baseline") as baseline:
            inputs = {**input_dict, **({standard_component_specs.BASELINE_MODEL_KEY: [baseline]} if baseline else {})}
            super().Do(inputs, output_dict, exec_properties)
        write_metrics(evaluation, metrics_of(evaluation))
        if pushed:
            blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
            blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, pushed)
            # TFX's entry point in a container looks the id up among the inputs, which do not include the baseline.
            blessing.mlmd_artifact.custom_properties.pop(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, None)


class ComparingEvaluator(base_beam_component.BaseBeamComponent):
    """Emits `evaluation` and `blessing`, like TFX's Evaluator.

    Args:
        examples: The rows.
        model: The candidate.
        eval_config: TFMA's configuration. Its models include a candidate and a baseline.
        example_splits: The splits to evaluate on.
        module_path: A module with `custom_extractors`.
        push_folder: The folder with one numbered folder per pushed version.
    """

    SPEC_CLASS = ComparingEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ComparingEvaluatorExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        eval_config: config_pb2.EvalConfig,
        example_splits: list[str],
        module_path: str,
        push_folder: str,
    ) -> None:
        spec = ComparingEvaluatorSpec(
            examples=examples,
            model=model,
            eval_config=eval_config,
            example_splits=json_utils.dumps(example_splits),
            module_path=module_path,
            push_folder=push_folder,
            evaluation=types.Channel(type=ModelEvaluation),
            blessing=types.Channel(type=ModelBlessing),
        )
        super().__init__(spec=spec)


@contextlib.contextmanager
def _as_artifact(pushed: str | None, folder: str) -> Iterator[Model | None]:
    """Yields a pushed version in the layout of TFX's models, as a copy that every worker can read during the block."""
    if pushed is None:
        yield None
        return
    if not fileio.exists(f"{pushed}/{_SAVED_MODEL_FILE}"):
        raise BadInputError(
            f"The newest pushed version must be a SavedModel, to compare with. Received: '{pushed}', which contains no "
            f"{_SAVED_MODEL_FILE}. Remove that version, or choose another `push_folder`."
        )
    io_utils.copy_dir(pushed, path_utils.serving_model_dir(folder))
    artifact = Model()
    artifact.uri = folder
    try:
        yield artifact
    finally:
        fileio.rmtree(folder)


def metrics_of(evaluation: str) -> dict[str, Any]:
    """Reads the metrics over all rows, with those of the baseline under a prefix, and the verdict with its reasons.

    Args:
        evaluation: The folder of TFMA's output.
    """
    metrics: dict[str, Any] = {}
    for part in tfma.load_metrics(evaluation):
        if part.slice_key.single_slice_keys:
            continue
        for metric in part.metric_keys_and_values:
            if not metric.key.is_diff and metric.value.WhichOneof("type") == "double_value":
                prefix = "baseline_" if metric.key.model_name == tfma.BASELINE_KEY else ""
                metrics[prefix + metric.key.name] = metric.value.double_value.value
    validation = tfma.load_validation_result(evaluation)
    objections = [
        _objection(failure, metrics) for part in validation.metric_validations_per_slice for failure in part.failures
    ]
    metrics["verdict"] = "blessed" if validation.validation_ok else f"not blessed: {'; '.join(objections)}"
    return metrics


def _objection(failure: Any, metrics: dict[str, Any]) -> str:
    """Returns the reason why a model was not blessed."""
    name = failure.metric_key.name
    value = metrics.get(name, float("nan"))
    if failure.metric_key.is_diff:
        return f"{name} {value:.4f} is worse than {metrics['baseline_' + name]:.4f} of the pushed model"
    bounds = failure.metric_threshold.value_threshold
    kind = "lower_bound" if bounds.HasField("lower_bound") else "upper_bound"
    return f"{name} {value:.4f} is beyond its {kind.replace('_', ' ')} {getattr(bounds, kind).value:.4f}"
