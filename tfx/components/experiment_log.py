"""Logs a run's settings, metrics and curves to Vertex AI Experiments. See tfx/vertex/experiments.py."""

import json
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import ModelEvaluation, ModelRun, String

from kerasbert.run_folder import EVALUATION, SETTINGS, TENSORBOARD
from kerasbert_tfx.records.component_metrics import read_metrics
from kerasbert_tfx.vertex.client import Vertex
from kerasbert_tfx.vertex.experiments import log_run, run_name


@component
def ExperimentLog(  # noqa: N802 (TFX components are named like classes)
    model_run: InputArtifact[ModelRun],
    evaluation: InputArtifact[ModelEvaluation],
    pipeline_name: Parameter[str],
    experiment: Parameter[str],
    tensorboard: Parameter[str],
    project: Parameter[str],
    region: Parameter[str],
    report: OutputArtifact[String],
) -> None:
    """Logs the run that the Trainer and the evaluator describe.

    Args:
        model_run: The Trainer's run.
        evaluation: The evaluator's metrics.
        pipeline_name: The pipeline's name.
        experiment: The experiment, which is created if it does not exist.
        tensorboard: The TensorBoard instance. An empty string logs no curves.
        project: Google Cloud project.
        region: Google Cloud region.
        report: The output with the names of the experiment and the run, as JSON.
    """
    logged = log_run(
        run_name(pipeline_name, model_run.uri),
        experiment,
        tensorboard or None,
        _json(f"{model_run.uri}/{SETTINGS}").get("settings", {}),
        run_metrics(model_run.uri, evaluation.uri),
        f"{model_run.uri}/{TENSORBOARD}",
        Vertex(project, region),
    )
    report.write(json.dumps({"experiment": logged.experiment, "run": logged.run, "points": logged.points}))


def run_metrics(model_run: str, evaluation: str) -> dict[str, float]:
    """Returns the metrics of the Trainer's own evaluation, under `trainer/`, and those of the evaluator.

    Args:
        model_run: The folder of the Trainer's run.
        evaluation: The folder of the evaluator's output.
    """
    of_trainer = _json(f"{model_run}/{EVALUATION}").get("metrics", {})
    metrics = {f"trainer/{name}": value for name, value in _numbers(of_trainer).items()}
    return {**metrics, **_numbers(read_metrics(evaluation))}


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: value for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _json(path: str) -> dict[str, Any]:
    if not fileio.exists(path):
        return {}
    with fileio.open(path) as file:
        content: dict[str, Any] = json.loads(file.read())
    return content
