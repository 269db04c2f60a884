"""A search for hyperparameters as a job of Vertex AI: the job's description, its results, and one trial."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from kerasbert.errors import BadInputError
from kerasbert_tfx.vertex import tuning_trial
from kerasbert_tfx.vertex.tuning_job import TrialJobs, search_with_jobs, study_parameters, typed_values

from .vertex_service import VertexService, made_trial, running_service

JOBS = TrialJobs(
    project="my-project",
    region="us-central1",
    image="example.com/kerasbert-pipeline:gpu",
    machine_type="n1-standard-8",
    accelerator="NVIDIA_TESLA_T4",
    accelerator_count=2,
    parallel_trials=3,
    service_account="steps@my-project.iam.gserviceaccount.com",
    labels={"team": "search"},
)
REQUEST = "gs://bucket/root/tuner_results/trial_request.json"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexService]:
    yield from running_service(monkeypatch)


@pytest.fixture
def space() -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    space.Float("learning_rate", 1e-5, 1e-3, sampling="log", default=1e-4)
    space.Choice("batch_size", [16, 32, 64], default=32)
    space.Choice("dropout", [0.0, 0.1, 0.2], default=0.1)
    return space


def search(space: Any, metric: str = "accuracy", is_error: bool = False, trials: int = 8) -> Any:
    return search_with_jobs(space, metric, is_error, trials, REQUEST, JOBS, pause=0)


def test_the_job_describes_the_search_and_its_trials(service: VertexService, space: Any) -> None:
    service.trials = [
        made_trial("1", {"learning_rate": 1e-4, "batch_size": 16.0, "dropout": 0.0}, {"accuracy": 0.5}),
        made_trial("2", {"learning_rate": 2e-4, "batch_size": 64.0, "dropout": 0.1}, {"accuracy": 0.8}),
        made_trial("3", {"learning_rate": 3e-4, "batch_size": 32.0, "dropout": 0.2}, {}, state="INFEASIBLE"),
    ]
    results = search(space)
    (request,) = service.requests("CreateHyperparameterTuningJob")
    assert request["parent"] == "projects/my-project/locations/us-central1"
    assert request["hyperparameterTuningJob"] == {
        "displayName": "kerasbert-tuner",
        "studySpec": {
            "metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}],
            "parameters": [
                {
                    "parameterId": "learning_rate",
                    "doubleValueSpec": {"minValue": 1e-5, "maxValue": 1e-3},
                    "scaleType": "UNIT_LOG_SCALE",
                },
                {"parameterId": "batch_size", "discreteValueSpec": {"values": [16.0, 32.0, 64.0]}},
                {"parameterId": "dropout", "discreteValueSpec": {"values": [0.0, 0.1, 0.2]}},
            ],
        },
        "maxTrialCount": 8,
        "parallelTrialCount": 3,
        "maxFailedTrialCount": 4,
        "trialJobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "n1-standard-8",
                        "acceleratorType": "NVIDIA_TESLA_T4",
                        "acceleratorCount": 2,
                    },
                    "replicaCount": "1",
                    "containerSpec": {
                        "imageUri": "example.com/kerasbert-pipeline:gpu",
                        "command": ["python", "-m", "kerasbert_tfx.vertex.tuning_trial"],
                        "args": [f"--request={REQUEST}"],
                    },
                }
            ],
            "serviceAccount": "steps@my-project.iam.gserviceaccount.com",
        },
        "labels": {"team": "search"},
    }
    assert [(result.trial, result.score) for result in results] == [("2", 0.8), ("1", 0.5)]
    assert results[0].values == {"learning_rate": 2e-4, "batch_size": 64, "dropout": 0.1}
    assert type(results[0].values["batch_size"]) is int


def test_a_lower_loss_is_better_and_fewer_trials_run_at_once(service: VertexService, space: Any) -> None:
    values = {"learning_rate": 1e-4, "batch_size": 16.0, "dropout": 0.0}
    service.trials = [made_trial(str(loss), values, {"loss": loss}) for loss in (0.4, 0.2, 0.3)]
    assert [result.score for result in search(space, "loss", True, trials=2)] == [0.2, 0.3, 0.4]
    job = service.requests("CreateHyperparameterTuningJob")[0]["hyperparameterTuningJob"]
    assert job["studySpec"]["metrics"] == [{"metricId": "loss", "goal": "MINIMIZE"}]
    assert (job["parallelTrialCount"], job["maxFailedTrialCount"]) == (2, 1)


def test_failed_searches_are_one_line(service: VertexService, space: Any) -> None:
    service.trials = [made_trial("1", {}, {"other": 1.0})]
    with pytest.raises(BadInputError, match=r"At least one trial must report its metric\. Received: none of 1 trials"):
        search(space)
    service.job_states = ["JOB_STATE_FAILED"]
    with pytest.raises(BadInputError, match=r"hyperparameter tuning job must succeed\. Received: JOB_STATE_FAILED"):
        search(space)


def test_a_space_that_vertex_ai_cannot_search_is_refused() -> None:
    space = keras_tuner.HyperParameters()
    space.Boolean("lower_case")
    with pytest.raises(
        BadInputError, match=r"must be a Float or a Choice of numbers\. Received: lower_case, a Boolean"
    ):
        study_parameters(space)


def test_values_get_the_types_of_the_space(space: Any) -> None:
    values = typed_values(space, {"learning_rate": "1e-05", "batch_size": "64.0", "dropout": "0", "unknown": "1"})
    assert values == {"learning_rate": 1e-5, "batch_size": 64, "dropout": 0.0}
    assert [type(value) for value in values.values()] == [float, int, float]


def test_a_metric_is_reported_where_vertex_ai_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hypertune" / "output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(file))
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "5")
    tuning_trial.report_metric("micro_f1", 0.25)
    tuning_trial.report_metric("micro_f1", 0.5)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.pop("timestamp") > 1.7e9 for line in lines] == [True, True]
    assert lines[-1] == {"trial": "5", "micro_f1": "0.5", "global_step": "0", "checkpoint_path": ""}


@pytest.mark.parametrize("arguments", [["--learning_rate=1"], ["--request=r", "0.5"], ["--request=r", "--dropout"]])
def test_a_trial_needs_a_request_and_values(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tuning_trial.run(arguments)
    assert "error: " in capsys.readouterr().err


def test_the_default_file_is_that_of_the_agent() -> None:
    assert os.path.dirname(tuning_trial._METRIC_FILE) == "/tmp/hypertune"
