"""Runs in Vertex AI Experiments, with curves in TensorBoard, and submissions that belong to an experiment."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert_tfx.components.experiment_log import run_metrics
from kerasbert_tfx.vertex.client import Vertex
from kerasbert_tfx.vertex.experiments import LoggedRun, log_run, run_name
from kerasbert_tfx.vertex.tensorboard_curves import read_curves

from .vertex_service import ServiceError, VertexService, running_service

PLACE = Vertex("my-project", "europe-west4")
PARENT = "projects/my-project/locations/europe-west4"
CONTEXTS = f"{PARENT}/metadataStores/default/contexts"
BOARD = f"{PARENT}/tensorboards/42"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexService]:
    from google.cloud import aiplatform_v1

    for service in running_service(monkeypatch):
        service.boards[BOARD] = aiplatform_v1.Tensorboard(name=BOARD, display_name="team")
        yield service


@pytest.fixture
def curves(tmp_path: Path) -> str:
    """Event files as the training loop writes them, in two attempts."""
    for attempt, steps in enumerate(([1, 2, 3], [3, 4])):
        for split in ("train", "validation"):
            writer = tf.summary.create_file_writer(str(tmp_path / "tensorboard" / split), filename_suffix=f".{attempt}")
            with writer.as_default():
                for step in steps:
                    tf.summary.scalar("loss", 1 / step + attempt, step=step)
                    tf.summary.text("note", "not a number", step=step)
            writer.close()
    return str(tmp_path / "tensorboard")


def log(**values: Any) -> LoggedRun:
    arguments = {
        "run": "questions-7",
        "experiment": "questions",
        "tensorboard": None,
        "parameters": {"epochs": 3, "learning_rate": 5e-5, "task": "regression", "strict": True, "model": None},
        "metrics": {"accuracy": 0.75, "loss": float("nan")},
        "curves": None,
        "place": PLACE,
    }
    return log_run(**{**arguments, **values})


def test_a_run_is_logged_with_its_parameters_and_metrics(service: VertexService) -> None:
    assert log() == LoggedRun("questions", "questions-7", 0)
    experiment, run = f"{CONTEXTS}/questions", f"{CONTEXTS}/questions-questions-7"
    assert set(service.contexts) == {experiment, run}
    created = {request["contextId"]: request["context"] for request in service.requests("CreateContext")}
    assert created["questions"]["schemaTitle"] == "system.Experiment"
    assert created["questions-questions-7"]["schemaTitle"] == "system.ExperimentRun"
    assert service.children == [(experiment, run)]
    metadata = json.loads(type(service.contexts[run]).to_json(service.contexts[run]))["metadata"]
    assert metadata["_params"] == {"epochs": 3, "learning_rate": 5e-5, "task": "regression", "strict": "True"}
    assert metadata["_metrics"] == {"accuracy": 0.75}
    assert metadata["_state"] == "COMPLETE"
    assert {host.partition(":")[0] for host in service.hosts} == {"europe-west4-aiplatform.googleapis.com"}


def test_a_run_that_is_logged_again_is_updated(service: VertexService, curves: str) -> None:
    log()
    log(metrics={"accuracy": 0.8}, tensorboard="42", curves=curves)
    log(metrics={"accuracy": 0.9}, tensorboard="42", curves=curves)
    assert [request["contextId"] for request in service.requests("CreateContext")] == [
        "questions",
        "questions-questions-7",
    ]
    run = service.contexts[f"{CONTEXTS}/questions-questions-7"]
    assert dict(run.metadata["_metrics"]) == {"accuracy": 0.9}
    assert len(service.requests("CreateTensorboardRun")) == 1
    assert len(service.requests("CreateTensorboardTimeSeries")) == 2


def test_the_curves_are_uploaded_to_one_run_of_the_instance(service: VertexService, curves: str) -> None:
    logged = log(tensorboard="42", curves=curves)
    assert logged.points == 8
    name = f"{BOARD}/experiments/questions/runs/questions-7"
    assert name in service.boards
    (experiment,) = service.requests("CreateTensorboardExperiment")
    assert (experiment["parent"], experiment["tensorboardExperimentId"]) == (BOARD, "questions")
    (run,) = service.requests("CreateTensorboardRun")
    assert (run["parent"], run["tensorboardRunId"]) == (f"{BOARD}/experiments/questions", "questions-7")
    series = [request["tensorboardTimeSeries"] for request in service.requests("CreateTensorboardTimeSeries")]
    assert series == [{"displayName": f"{split}/loss", "valueType": "SCALAR"} for split in ("train", "validation")]
    # After a run was resumed, the later value of a step counts.
    expected = [(1, 1.0), (2, 0.5), (3, pytest.approx(4 / 3)), (4, 1.25)]
    assert service.written == {"train/loss": expected, "validation/loss": expected}
    for request in service.requests("WriteTensorboardRunData"):
        assert request["tensorboardRun"] == name
        (data,) = request["timeSeriesData"]
        assert data["valueType"] == "SCALAR"
        assert all(point["wallTime"].startswith("20") for point in data["values"])


def test_a_full_name_and_a_missing_instance(service: VertexService, curves: str) -> None:
    assert log(tensorboard=BOARD, curves=curves).points == 8
    with pytest.raises(BadInputError, match=r"did not log the run to the experiment\. Received: 404 .*tensorboards/7"):
        log(run="other", tensorboard="7", curves=curves)


def test_errors_are_one_line(service: VertexService) -> None:
    service.refuse["CreateContext"] = ServiceError(grpc.StatusCode.PERMISSION_DENIED, "Permission\ndenied.")
    with pytest.raises(BadInputError, match=r"did not log the run to the experiment\. Received: 403 Permission denied"):
        log()


def test_damaged_and_missing_event_files(tmp_path: Path, curves: str) -> None:
    assert read_curves(str(tmp_path / "nowhere")) == {}
    (file,) = Path(curves, "train").glob("*.1")
    file.write_bytes(file.read_bytes()[:-5])
    steps = [point.step for point in read_curves(curves)["train/loss"]]
    assert steps[:3] == [1, 2, 3]


@pytest.mark.parametrize(
    ("artifact", "expected"),
    [
        ("gs://b/root/123456/questions-20261130120000/Trainer_-8812/model_run", "questions-20261130120000"),
        ("gs://b/root/123456/my-own-id/Trainer_42/model_run", "my-own-id"),
        ("/home/me/runs/Trainer/model_run/12", "my-pipeline-12"),
        ("gs://b/root/123/" + "x" * 80 + "-20261130120000/Trainer_1/model_run", "x" * 41 + "-20261130120000"),
    ],
)
def test_names_of_runs(artifact: str, expected: str) -> None:
    assert run_name("my-pipeline", artifact) == expected


def test_other_addresses_have_names_of_their_own() -> None:
    names = {run_name("p" * 128, f"/minio/bucket/{number}/model_run") for number in ("a", "b")}
    assert len(names) == 2
    assert all(len(name) <= 56 for name in names)


def test_the_metrics_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evaluation.json").write_text('{"metrics": {"accuracy": 0.5, "per_label": {"a": 1}}}')
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "metrics.json").write_text('{"auc": 0.9, "verdict": "blessed"}')
    metrics = run_metrics(str(tmp_path / "run"), str(tmp_path / "evaluation"))
    assert metrics == {"trainer/accuracy": 0.5, "auc": 0.9}
    assert run_metrics(str(tmp_path), str(tmp_path)) == {}
