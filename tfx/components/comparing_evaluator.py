"""TFX's Evaluator beside the newest model that was pushed, which a candidate must not be worse than.

The baseline is read from the folder of pushed models, to which only blessed ones come, while the candidate is
evaluated. A Resolver of the latest blessed model would give the candidate itself when nothing has changed, which would
then be evaluated again; and Kubeflow Pipelines has none.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow_model_analysis as tfma
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
from kerasbert_tfx.components.component_metrics import write_metrics

_SAVED_MODEL_FILE = "saved_model.pb"


class ComparingEvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's, with the folder of pushed models."""

    PARAMETERS = {  # noqa: RUF012 (TFX's way to say it)
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        "push_folder": ExecutionParameter(type=str),
    }


class ComparingEvaluatorExecutor(Executor):
    """Looks up the baseline, evaluates, and leaves the metrics in short beside TFMA's own files."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the candidate, beside the baseline where there is one.

        Raises:
            BadInputError: what was pushed last is no SavedModel.
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


class ComparingEvaluator(base_beam_component.BaseBeamComponent):
    """Emits `evaluation` and `blessing`, as TFX's Evaluator.

    Args:
        examples: the rows.
        model: the candidate.
        eval_config: with a candidate and a baseline among its models.
        example_splits: the splits whose rows count.
        module_path: a module with `custom_extractors`.
        push_folder: holds one numbered folder for each pushed version.
    """

    SPEC_CLASS = ComparingEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ComparingEvaluatorExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        eval_config: tfma.EvalConfig,
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


def newest_version(push_folder: str) -> str | None:
    """The folder of the largest version number, on any file system; None if there is none."""
    names = [name.rstrip("/") for name in fileio.listdir(push_folder)] if fileio.isdir(push_folder) else []
    versions = [int(name) for name in names if name.isascii() and name.isdigit()]
    return f"{push_folder}/{max(versions)}" if versions else None


@contextlib.contextmanager
def _as_artifact(pushed: str | None, folder: str) -> Iterator[Model | None]:
    """A pushed version in the form of TFX's models, for as long as the block lasts: where every worker can read it."""
    if pushed is None:
        yield None
        return
    if not fileio.exists(f"{pushed}/{_SAVED_MODEL_FILE}"):
        raise BadInputError(
            f"What was pushed last must be a SavedModel, to compare with. Received: '{pushed}', which holds no "
            f"{_SAVED_MODEL_FILE}. Remove that version, or name another `push_folder`."
        )
    io_utils.copy_dir(pushed, path_utils.serving_model_dir(folder))
    artifact = Model()
    artifact.uri = folder
    try:
        yield artifact
    finally:
        fileio.rmtree(folder)


def metrics_of(evaluation: str) -> dict[str, Any]:
    """The metrics over all rows, those of the baseline behind a prefix, and why the model was not blessed.

    Args:
        evaluation: the folder of TFMA's output.
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
    """What speaks against a model, in words."""
    name = failure.metric_key.name
    value = metrics.get(name, float("nan"))
    if failure.metric_key.is_diff:
        return f"{name} {value:.4f} is worse than {metrics['baseline_' + name]:.4f} of the pushed model"
    bounds = failure.metric_threshold.value_threshold
    kind = "lower_bound" if bounds.HasField("lower_bound") else "upper_bound"
    return f"{name} {value:.4f} is beyond its {kind.replace('_', ' ')} {getattr(bounds, kind).value:.4f}"
