"""`push_to: vertex`, `tuner: vertex` and experiments in pipelines: settings, compiled steps, and a whole run."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Model, ModelBlessing, PushedModel

from kerasbert.errors import BadInputError
from kerasbert_pipelines.fine_tune import create_pipeline
from kerasbert_pipelines.local.run_local import run
from kerasbert_pipelines.settings import FineTuneSettings, PipelineSettings, read_settings
from kerasbert_pipelines.vertex_and_kubeflow.compile import compiled_job
from kerasbert_tfx.components.model_pusher import ModelPusherExecutor
from kerasbert_tfx.vertex import setting_forms, tuning_trial

from .compiled_settings import FACTORIES
from .labelled_tables import fine_tune_settings, topic_rows, write_table
from .test_vertex_push import write_version
from .vertex_service import VertexService, running_service

PLACE = {"project": "my-project", "region": "europe-west4"}
PUSH = {**PLACE, "push_to": "vertex", "push_folder": "gs://bucket/models"}
PARENT = "projects/my-project/locations/europe-west4"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexService]:
    monkeypatch.setattr(setting_forms, "STORES", ("gs://", "bucket://"))
    from google.cloud import aiplatform_v1

    for service in running_service(monkeypatch):
        board = f"{PARENT}/tensorboards/42"
        service.boards[board] = aiplatform_v1.Tensorboard(name=board)
        yield service


# === Settings ===


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"push_to": "vertex"}, "`push_to: vertex` needs a project and a region. Received: project=None, region=None"),
        ({**PUSH, "region": "Europe"}, "region='Europe'. Set `project`"),
        ({**PUSH, "push_folder": "models"}, "`push_folder` must be in a bucket. Received: push_folder='models'"),
        ({**PUSH, "push_folder": "gs://"}, "`push_folder` must be in a bucket"),
        ({**PUSH, "pipeline_name": "2-questions"}, "`vertex.model_name` must be set"),
        ({"vertex": {"endpoint": "live"}}, "`vertex.endpoint` has an effect only with `push_to: vertex`"),
        ({"vertex": {"traffic": 5}}, "Received: `vertex.traffic`. Did you mean `vertex.traffic_percent`?"),
        ({"vertex": {"traffic_percent": 101}}, "`vertex.traffic_percent` must be a whole number, at least 0 and at"),
        ({"vertex": {"traffic_percent": "half"}}, "`vertex.traffic_percent` must be a whole number"),
        ({"vertex": {"min_replicas": 0}}, "`vertex.min_replicas` must be a whole number, at least 1"),
        ({"vertex": {"min_replicas": 3, "max_replicas": 2}}, "`max_replicas` must be at least `min_replicas`"),
        ({"vertex": {"labels": {"Team": "a"}}}, "`vertex.labels` must be at most 63 labels"),
        ({"vertex": {"labels": {"team": "A"}}}, "`vertex.labels` must be"),
        ({"vertex": {"labels": {"team": "a" * 64}}}, "`vertex.labels` must be"),
        ({"vertex": {"labels": {setting_forms.FINGERPRINT_LABEL: "a"}}}, "`vertex.labels` must be"),
        ({"vertex": {"labels": {f"l{i}": "" for i in range(64)}}}, "`vertex.labels` must be"),
        ({"vertex": {"version_aliases": ["Champion"]}}, "`vertex.version_aliases` must be aliases"),
        ({"vertex": {"version_aliases": "7"}}, "`vertex.version_aliases` must be aliases"),
        ({"vertex": {"model_name": "my model"}}, "`vertex.model_name` must be lower-case letters"),
        ({"vertex": {"parent_model": f"{PARENT}/models/7@2"}}, "`vertex.parent_model` must be a model's id"),
        ({"vertex": {"accelerator": "T4"}}, "`vertex.accelerator` must be an accelerator's name"),
        ({"vertex": {"machine_type": "4 cores"}}, "`vertex.machine_type` must be a machine type"),
        ({"vertex": {"serving_image": "tensorflow/serving:2.20.0"}}, "`vertex.serving_image` must be an image in Art"),
        ({"vertex": {"serving_account": "me"}}, "`vertex.serving_account` must be the e-mail address"),
        ({"vertex": {"batch_output": "out"}}, "`vertex.batch_output` must be a folder in Cloud Storage"),
        ({"vertex": {"batch_output": "gs://b/out"}}, "`batch_input` and `batch_output` belong together"),
        ({"vertex": {"tensorboard": "42"}}, "`tensorboard` needs an experiment"),
        ({"vertex": {"tensorboard": "board"}}, "`vertex.tensorboard` must be the instance's number"),
        ({"vertex": {"experiment": "My_experiment"}}, "`vertex.experiment` must be lower-case letters"),
        ({"vertex": {"experiment": "e"}}, "`vertex.experiment` needs a project and a region"),
        ({"vertex": "live"}, "`vertex` must be a mapping. Received: vertex='live'"),
        ({"tune": True, "tuner": "vertex"}, "`tuner: vertex` needs a project and a region"),
        ({**PLACE, "tune": True, "tuner": "vertex"}, "Trials on Vertex AI run in the pipeline's image"),
        ({"tuner": "optuna"}, "`tuner` must be one of keras_tuner, vertex"),
        ({"push_to": "s3"}, "`push_to` must be one of folder, vertex"),
    ],
)
def test_settings_are_checked_before_anything_runs(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError) as error:
        FineTuneSettings(**values)
    assert message in str(error.value)


def test_settings_come_from_a_file_the_environment_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "us-central1")
    (tmp_path / "c.yaml").write_text(
        "push_to: vertex\npush_folder: /gcs/bucket/models\n"
        "vertex: {endpoint: 77, labels: {run: 3, team: search}, min_replicas: 2, version_aliases: champion}\n"
    )
    settings = read_settings("fine-tune", tmp_path / "c.yaml", {"vertex": {"traffic_percent": "10"}})
    vertex = settings.vertex
    assert (vertex.endpoint, vertex.traffic_percent, vertex.max_replicas) == ("77", 10, 2)
    assert (vertex.labels, vertex.version_aliases) == ({"run": "3", "team": "search"}, ("champion",))
    (tmp_path / "c.yaml").write_text("vertex: {min_replicas: none}\n")
    with pytest.raises(BadInputError, match=r"Received: vertex\.min_replicas='none' in '.*c\.yaml'"):
        read_settings("fine-tune", tmp_path / "c.yaml")


def test_without_vertex_ai_nothing_changes(make_settings: Callable[..., Any]) -> None:
    for kind in ("pretrain", "fine-tune"):
        job = compiled_job(FACTORIES[kind], make_settings(kind), "vertex")
        tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
        assert "ExperimentLog" not in tasks
        parameters = tasks["ModelPusher"]["inputs"]["parameters"]
        assert parameters.get("custom_config", {}).get("runtimeValue", {}).get("constant", "null") == "null"


# === Compiled steps ===


@pytest.mark.parametrize("kind", ["pretrain", "fine-tune"])
def test_compiled_steps_know_what_to_push_and_where_to_log(kind: str, make_settings: Callable[..., Any]) -> None:
    vertex = {"endpoint": "live", "traffic_percent": 5, "experiment": "questions", "labels": {"team": "search"}}
    settings = make_settings(kind, **PUSH, vertex=vertex)
    tasks = compiled_job(FACTORIES[kind], settings, "vertex")["pipelineSpec"]["root"]["dag"]["tasks"]
    constant = tasks["ModelPusher"]["inputs"]["parameters"]["custom_config"]["runtimeValue"]["constant"]
    config = json.loads(constant)["vertex"]
    assert (config["project"], config["region"], config["model_id"]) == (*PLACE.values(), settings.pipeline_name)
    assert config["settings"].items() >= vertex.items()
    assert config["table"]["text_column"] == settings.text_column
    log = tasks["ExperimentLog"]["inputs"]["parameters"]
    assert log["experiment"]["runtimeValue"]["constant"] == "questions"
    # The steps still find pushed models where the run says.
    assert (
        tasks["ModelPusher"]["inputs"]["parameters"]["push_destination"]["runtimeValue"]["constant"].count("{{$") == 1
    )


def test_compiled_trials_run_in_the_tuners_image(make_settings: Callable[..., Any]) -> None:
    values = {**PLACE, "tune": True, "tuner": "vertex", "tuner_trials": 4, "service_account": "steps@p.example.com"}
    vertex = {"tuner_machine_type": "n1-highmem-8", "tuner_accelerator": "NVIDIA_L4", "tuner_parallel_trials": 4}
    settings = make_settings("fine-tune", **values, vertex=vertex, resources={"Tuner": {"image": "example.com/gpu"}})
    job = compiled_job(create_pipeline, settings, "vertex")
    config = job["pipelineSpec"]["root"]["dag"]["tasks"]["Tuner"]["inputs"]["parameters"]["custom_config"]
    # Inputs of the run are filled in when it starts.
    filled = re.sub(r'"?\{\{\$[^}]*\}\}"?', "0", config["runtimeValue"]["constant"])
    trials = json.loads(filled)["vertex_trials"]
    assert trials == {
        **PLACE,
        "image": "example.com/gpu",
        "machine_type": "n1-highmem-8",
        "accelerator": "NVIDIA_L4",
        "accelerator_count": 1,
        "parallel_trials": 4,
        "service_account": "steps@p.example.com",
        "labels": {},
    }
    with pytest.raises(BadInputError, match=r"Received: tuner='vertex' for target kubeflow"):
        compiled_job(create_pipeline, settings, "kubeflow")


# === The component ===


@pytest.mark.parametrize("is_blessed", [True, False])
def test_only_a_blessed_model_is_uploaded(
    service: VertexService, bucket: str, tmp_path: Path, is_blessed: bool
) -> None:
    model, blessing, pushed = Model(), ModelBlessing(), PushedModel()
    write_version(tmp_path / "trained", 1)
    (tmp_path / "model").mkdir()
    (tmp_path / "trained" / "1").rename(tmp_path / "model" / "Format-Serving")
    model.uri, blessing.uri, pushed.uri = str(tmp_path / "model"), str(tmp_path / "b"), str(tmp_path / "pushed")
    blessing.set_int_custom_property("blessed", int(is_blessed))
    settings = PipelineSettings(**{**PUSH, "push_folder": f"{bucket}/models"}, vertex={"endpoint": "live"})
    from kerasbert_pipelines.assembly import _vertex_target

    config = {"vertex": json.loads(json.dumps(_vertex_target(settings).__dict__, default=vars))}
    destination = json.dumps({"filesystem": {"base_directory": f"{bucket}/models"}})
    properties = {"push_destination": destination, "custom_config": json.dumps(config)}
    ModelPusherExecutor().Do({"model": [model], "model_blessing": [blessing]}, {"pushed_model": [pushed]}, properties)
    done = artifact_utils.get_single_instance([pushed])
    assert bool(done.get_int_custom_property("pushed")) is is_blessed
    assert tf.io.gfile.exists(f"{bucket}/models") is is_blessed
    if not is_blessed:
        assert service.calls == []
        return
    assert service.methods() == ["UploadModel", "CreateEndpoint", "DeployModel"]
    version = done.get_string_custom_property("pushed_version")
    assert service.requests("UploadModel")[0]["model"]["artifactUri"] == f"{bucket}/models/vertex/{version}"
    assert done.get_string_custom_property("vertex_model") == f"{PARENT}/models/kerasbert@1"
    metrics = json.loads(Path(pushed.uri, "metrics.json").read_text())
    assert metrics["registered"] == f"{PARENT}/models/kerasbert@1 (uploaded)"


# === A whole run ===


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_run_from_rows_to_an_endpoint(
    service: VertexService, bucket: str, tmp_path: Path, start_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = tmp_path / "output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(reports))

    def run_trial(arguments: list[str]) -> str:
        reports.unlink(missing_ok=True)
        tuning_trial.run(arguments)
        return reports.read_text()

    service.run_trial = run_trial
    service.job_states = ["JOB_STATE_SUCCEEDED"]
    settings = fine_tune_settings(
        tmp_path,
        write_table(tmp_path / "rows.csv", ("text", "label"), topic_rows(120)),
        start_model,
        **{**PUSH, "push_folder": f"{bucket}/models"},
        pipeline_root=f"{bucket}/root",
        metadata_path=str(tmp_path / "metadata.sqlite"),
        pipeline_name="questions",
        image="example.com/kerasbert:cpu",
        epochs=1,
        tune=True,
        tuner="vertex",
        tuner_trials=2,
        vertex={
            "endpoint": "live",
            "batch_input": write_table(tmp_path / "bare.csv", ("text",), [("the dog",), ("the saw",)]),
            "batch_output": f"{bucket}/predictions",
            "experiment": "questions",
            "tensorboard": "42",
        },
    )
    summary = run(create_pipeline, settings)
    pushed = summary["ModelPusher"]
    assert pushed.metrics["registered"] == f"{PARENT}/models/questions@1 (uploaded)"
    assert service.methods()[0] == "CreateHyperparameterTuningJob"
    assert {"UploadModel", "DeployModel", "CreateBatchPredictionJob"} <= set(service.methods())
    # The Trainer used the values of the better trial.
    best = max(service.trials, key=lambda trial: trial.final_measurement.metrics[0].value)
    values = {parameter.parameter_id: parameter.value for parameter in best.parameters}
    context = service.contexts[f"{PARENT}/metadataStores/default/contexts/questions-{run_of(service)}"]
    parameters = dict(context.metadata["_params"])
    assert parameters["batch_size"] == values["batch_size"]
    assert parameters["learning_rate"] == pytest.approx(values["learning_rate"])
    assert dict(context.metadata["_metrics"])["accuracy"] == pytest.approx(
        summary["ComparingEvaluator"].metrics["accuracy"]
    )
    assert service.written["train/loss"]
    assert service.written["validation/loss"]
    with tf.io.gfile.GFile(tf.io.gfile.glob(f"{bucket}/predictions/instances/*.jsonl")[0]) as file:
        assert [json.loads(line) for line in file] == ["the dog", "the saw"]
    # An unchanged run does nothing again.
    calls = len(service.methods())
    run(create_pipeline, settings)
    assert len(service.methods()) == calls


def run_of(service: VertexService) -> str:
    (request,) = service.requests("CreateTensorboardRun")
    return str(request["tensorboardRunId"])
