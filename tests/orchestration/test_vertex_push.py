"""A pushed version goes to Vertex AI: requests of Google's client to a local server that speaks its messages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from google.cloud import aiplatform_v1
from tensorflow.core.protobuf import saved_model_pb2

from kerasbert.errors import BadInputError
from kerasbert_tfx.vertex import setting_forms
from kerasbert_tfx.vertex.batch_prediction import BatchTable
from kerasbert_tfx.vertex.client import Vertex
from kerasbert_tfx.vertex.endpoints import split_traffic
from kerasbert_tfx.vertex.model_registry import write_artifact
from kerasbert_tfx.vertex.pushing import VertexPush, push_to_vertex
from kerasbert_tfx.vertex.vertex_settings import VertexSettings

from .conftest import Command
from .vertex_service import ServiceError, VertexService, running_service

PLACE = Vertex("my-project", "europe-west4")
PARENT = "projects/my-project/locations/europe-west4"
MODEL = f"{PARENT}/models/questions"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexService]:
    # TensorFlow's own files stand for Cloud Storage.
    monkeypatch.setattr(setting_forms, "STORES", ("gs://", "bucket://", "ram://"))
    yield from running_service(monkeypatch)


def write_version(folder: Path, number: int, content: str = "weights") -> str:
    """Writes the files of a version, with a signature that takes texts."""
    path = folder / str(number)
    (path / "variables").mkdir(parents=True)
    (path / "assets.extra").mkdir()
    (path / "variables" / "variables.index").write_text(content)
    (path / "assets.extra" / "README.md").write_text("# Classifier\n\n\n\nSorts questions.\n")
    model = saved_model_pb2.SavedModel()
    model.meta_graphs.add().signature_def["serving_default"].inputs["text"].name = "text:0"
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return str(path)


def push(version: str, table: BatchTable | None = None, **settings: Any) -> VertexPush:
    return push_to_vertex(version, "questions", VertexSettings(**settings), table or BatchTable(), PLACE, pause=0)


# === Model Registry ===


def test_the_first_push_creates_the_model(service: VertexService, tmp_path: Path) -> None:
    version = write_version(tmp_path / "pushed", 1700000000)
    done = push(version, version_aliases=["champion", "default"], labels={"team": "search"})
    assert (done.version.name, done.version.is_new) == (f"{MODEL}@1", True)
    assert service.methods() == ["UploadModel"]
    assert set(service.hosts) == {"europe-west4-aiplatform.googleapis.com:443"}
    (request,) = service.requests("UploadModel")
    assert (request["parent"], request["modelId"]) == (PARENT, "questions")
    assert "parentModel" not in request
    model = request["model"]
    assert model["displayName"] == "questions"
    assert model["versionAliases"] == ["champion", "default"]
    assert model["versionDescription"].startswith("# Classifier\n\nSorts questions.\n\nThe whole model card: ")
    assert model["artifactUri"] == f"{tmp_path}/pushed/vertex/1700000000"
    fingerprint = model["labels"].pop(setting_forms.FINGERPRINT_LABEL)
    assert model["labels"] == {"team": "search"}
    assert len(fingerprint) <= 63
    assert fingerprint.isalnum()
    # Older versions of Google's client have no such fields.
    if "failure_threshold" in aiplatform_v1.Probe.meta.fields:
        assert model["containerSpec"].pop("startupProbe") == {
            "httpGet": {"path": "/v1/models/questions", "port": 8080},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 60,
        }
    assert model["containerSpec"] == {
        "imageUri": "europe-west4-docker.pkg.dev/my-project/docker-hub/tensorflow/serving:2.20.0",
        "command": ["tensorflow_model_server"],
        "args": [
            "--port=8500",
            "--rest_api_port=$(AIP_HTTP_PORT)",
            "--rest_api_timeout_in_ms=60000",
            "--model_name=questions",
            "--model_base_path=$(AIP_STORAGE_URI)",
            "--file_system_poll_wait_seconds=600",
            "--enable_batching=true",
            "--batching_parameters_file=$(AIP_STORAGE_URI)/batching.config",
        ],
        "ports": [{"containerPort": 8080}],
        "predictRoute": "/v1/models/questions:predict",
        "healthRoute": "/v1/models/questions",
    }


def test_the_artifact_folder_contains_one_version(bucket: str, tmp_path: Path) -> None:
    for number in (4, 5):
        version = write_version(tmp_path, number)
        for name in ("variables/variables.index", "assets.extra/README.md", "saved_model.pb"):
            tf.io.gfile.makedirs(f"{bucket}/models/{number}/{name}".rpartition("/")[0])
            tf.io.gfile.copy(f"{version}/{name}", f"{bucket}/models/{number}/{name}")
    artifact = write_artifact(f"{bucket}/models/5")
    assert artifact == f"{bucket}/models/vertex/5"
    assert sorted(name.rstrip("/") for name in tf.io.gfile.listdir(artifact)) == ["5", "batching.config"]
    files = [
        f"{folder.rstrip('/')}/{name}".removeprefix(f"{artifact}/5/")
        for folder, _, names in tf.io.gfile.walk(f"{artifact}/5")
        for name in names
        if name
    ]
    assert sorted(files) == ["assets.extra/README.md", "saved_model.pb", "variables/variables.index"]
    before = tf.io.gfile.stat(f"{artifact}/5/saved_model.pb").mtime_nsec
    assert write_artifact(f"{bucket}/models/5") == artifact
    assert tf.io.gfile.stat(f"{artifact}/5/saved_model.pb").mtime_nsec == before


def test_the_same_model_is_uploaded_once_and_another_is_a_new_version(service: VertexService, tmp_path: Path) -> None:
    first = write_version(tmp_path, 1)
    push(first)
    again = push(write_version(tmp_path / "elsewhere", 9))
    assert (again.version.name, again.version.is_new) == (f"{MODEL}@1", False)
    assert len(service.requests("UploadModel")) == 1
    second = push(write_version(tmp_path, 2, "other weights"))
    assert (second.version.name, second.version.is_new) == (f"{MODEL}@2", True)
    request = service.requests("UploadModel")[-1]
    assert request["parentModel"] == MODEL
    assert "modelId" not in request
    # The same weights in another server are another version.
    image = "europe-docker.pkg.dev/p/serving/tensorflow:3"
    third = push(first, serving_image=image)
    assert third.version.version == "3"
    assert service.requests("UploadModel")[-1]["model"]["containerSpec"]["imageUri"] == image


def test_new_aliases_of_an_uploaded_version_are_moved_to_it(service: VertexService, tmp_path: Path) -> None:
    version = write_version(tmp_path, 1)
    push(version, version_aliases=["staging"])
    push(version, version_aliases=["staging", "champion"])
    push(version, version_aliases=["staging", "champion"])
    assert service.requests("MergeVersionAliases") == [{"name": f"{MODEL}@1", "versionAliases": ["champion"]}]


def test_a_parent_model_gets_a_version_and_must_exist(service: VertexService, tmp_path: Path) -> None:
    version = write_version(tmp_path, 1)
    with pytest.raises(BadInputError, match=r"`parent_model` must be a model in Model Registry\. Received: .*'4567'"):
        push(version, parent_model="4567")
    assert service.methods() == []
    assert not (tmp_path / "vertex").exists()
    push_to_vertex(version, "4567", VertexSettings(model_name="questions"), BatchTable(), PLACE)
    full = f"{PARENT}/models/4567"
    assert push(write_version(tmp_path, 2, "other"), parent_model=full).version.name == f"{full}@2"
    assert service.requests("UploadModel")[-1]["parentModel"] == full


def test_a_long_model_card_is_cut(service: VertexService, tmp_path: Path) -> None:
    version = write_version(tmp_path, 1)
    Path(version, "assets.extra", "README.md").write_text("word " * 1000)
    push(version)
    text = service.requests("UploadModel")[0]["model"]["versionDescription"]
    assert len(text) <= 2000
    assert text.endswith(f"word…\n\nThe whole model card: {version}/assets.extra/README.md")


def test_errors_of_the_upload_are_one_line(service: VertexService, tmp_path: Path) -> None:
    version = write_version(tmp_path, 1)
    service.refuse["UploadModel"] = ServiceError(grpc.StatusCode.PERMISSION_DENIED, "Permission\ndenied.")
    with pytest.raises(
        BadInputError, match=r"did not upload the model\. Received: 403 Permission denied\. Give .*role"
    ):
        push(version)
    del service.refuse["UploadModel"]
    service.fail["UploadModel"] = "The image does not exist."
    with pytest.raises(BadInputError, match=r"did not upload the model\. Received: .*The image does not exist\. Fix"):
        push(version)


# === Endpoint ===


def test_a_version_is_deployed_on_a_new_endpoint(service: VertexService, tmp_path: Path) -> None:
    done = push(
        write_version(tmp_path, 1),
        endpoint="live questions",
        machine_type="n1-highmem-4",
        min_replicas=2,
        max_replicas=5,
        accelerator="NVIDIA_TESLA_T4",
        serving_account="serving@my-project.iam.gserviceaccount.com",
        labels="team=search",
        traffic_percent=10,
    )
    assert service.methods() == ["UploadModel", "CreateEndpoint", "DeployModel"]
    image = service.requests("UploadModel")[0]["model"]["containerSpec"]["imageUri"]
    assert image.endswith("/docker-hub/tensorflow/serving:2.20.0-gpu")
    assert service.requests("ListEndpoints") == [{"parent": PARENT, "filter": 'display_name="live questions"'}]
    assert service.requests("CreateEndpoint") == [
        {"parent": PARENT, "endpoint": {"displayName": "live questions", "labels": {"team": "search"}}}
    ]
    assert service.requests("DeployModel") == [
        {
            "endpoint": f"{PARENT}/endpoints/1",
            "deployedModel": {
                "model": f"{MODEL}@1",
                "displayName": "questions@1",
                "serviceAccount": "serving@my-project.iam.gserviceaccount.com",
                "dedicatedResources": {
                    "machineSpec": {
                        "machineType": "n1-highmem-4",
                        "acceleratorType": "NVIDIA_TESLA_T4",
                        "acceleratorCount": 1,
                    },
                    "minReplicaCount": 2,
                    "maxReplicaCount": 5,
                },
            },
            # The first model of an endpoint gets all.
            "trafficSplit": {"0": 100},
        }
    ]
    assert done.deployment is not None
    assert (done.deployment.traffic, done.deployment.is_new) == ({"1000": 100}, True)


def test_traffic_moves_to_new_versions_and_pushing_again_deploys_nothing(
    service: VertexService, tmp_path: Path
) -> None:
    first, second, third = (write_version(tmp_path, number, str(number)) for number in (1, 2, 3))
    push(first, endpoint="live")
    push(second, endpoint="live", traffic_percent=40)
    push(third, endpoint="live", traffic_percent=10)
    assert [request["trafficSplit"] for request in service.requests("DeployModel")] == [
        {"0": 100},
        {"0": 40, "1000": 60},
        {"0": 10, "1000": 54, "1001": 36},
    ]
    calls = len(service.methods())
    again = push(third, endpoint="live", traffic_percent=10)
    assert again.deployment is not None
    assert (again.deployment.is_new, len(service.methods())) == (False, calls)
    # Now all requests, and the others go.
    promoted = push(third, endpoint="live", traffic_percent=100, undeploy_replaced=True)
    assert service.methods()[calls:] == ["UpdateEndpoint", "UndeployModel", "UndeployModel"]
    (update,) = service.requests("UpdateEndpoint")
    assert update["endpoint"]["trafficSplit"] == {"1002": 100}
    assert update["updateMask"] == "trafficSplit"
    assert [request["deployedModelId"] for request in service.requests("UndeployModel")] == ["1000", "1001"]
    assert promoted.deployment is not None
    assert (promoted.deployment.traffic, promoted.deployment.undeployed) == ({"1002": 100}, ("1000", "1001"))


def test_an_endpoint_is_found_by_its_number_or_full_name(service: VertexService, tmp_path: Path) -> None:
    version = write_version(tmp_path, 1)
    push(version, endpoint="live")
    for name in ("1", f"{PARENT}/endpoints/1"):
        push(version, endpoint=name)
    assert service.requests("GetEndpoint") == [{"name": f"{PARENT}/endpoints/1"}] * 2
    with pytest.raises(BadInputError, match=r"find or create the endpoint\. Received: 404 .*endpoints/77.*@1 is regis"):
        push(version, endpoint="77")
    endpoint = service.endpoints[f"{PARENT}/endpoints/1"]
    service.endpoints["twin"] = type(endpoint)(name=f"{PARENT}/endpoints/2", display_name="live")
    with pytest.raises(BadInputError, match=r"`endpoint` must name one endpoint\. Received: .*2 endpoints.*: 1, 2\."):
        push(version, endpoint="live")


@pytest.mark.parametrize("kind", ["refused", "failed"])
def test_a_failed_deployment_leaves_the_registered_version_and_is_repeated(
    service: VertexService, tmp_path: Path, kind: str
) -> None:
    version = write_version(tmp_path, 1)
    if kind == "refused":
        service.refuse["DeployModel"] = ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "No quota of T4.")
    else:
        service.fail["DeployModel"] = "Model server exited unexpectedly."
    with pytest.raises(BadInputError) as error:
        push(version, endpoint="live")
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("Vertex AI did not deploy the model. Received: ")
    assert ("No quota of T4" in line) or ("exited unexpectedly" in line)
    assert f"{MODEL}@1 is registered" in line
    service.refuse.clear()
    service.fail.clear()
    done = push(version, endpoint="live")
    assert done.deployment is not None
    assert (done.version.is_new, done.deployment.is_new) == (False, True)
    assert len(service.requests("UploadModel")) == 1
    assert len(service.requests("CreateEndpoint")) == 1


def test_an_unknown_accelerator_is_named(service: VertexService, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"Received: 'NVIDIA_T4'\. Use one of .*NVIDIA_TESLA_T4"):
        push(write_version(tmp_path, 1), endpoint="live", accelerator="NVIDIA_T4")


@pytest.mark.parametrize(
    ("before", "model", "percent", "expected"),
    [
        ({"a": 100}, "0", 0, {"a": 100}),
        ({"a": 33, "b": 33, "c": 34}, "0", 50, {"0": 50, "a": 17, "b": 16, "c": 17}),
        ({"a": 1, "b": 99}, "0", 99, {"0": 99, "b": 1}),
        ({"a": 10, "b": 90}, "a", 10, {"a": 10, "b": 90}),
        ({"a": 0, "b": 0}, "0", 5, {"0": 100}),
        ({"a": 0, "b": 100}, "a", 100, {"a": 100}),
    ],
)
def test_traffic_always_adds_up(before: dict[str, int], model: str, percent: int, expected: dict[str, int]) -> None:
    split = split_traffic(before, model, percent)
    assert split == expected
    assert sum(split.values()) == 100


# === Batch prediction ===


def test_a_table_is_predicted_in_a_batch(service: VertexService, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('question;label\n"Where, is my ""card""?";a\nÜ\u2028x;b\n{};c\n', encoding="utf-8")
    done = push(
        write_version(tmp_path, 1),
        BatchTable(text_column="question"),
        batch_input=str(table),
        batch_output="ram://bucket/out/",
        machine_type="n1-standard-8",
        max_replicas=4,
        labels={"team": "search"},
    )
    assert service.methods() == ["UploadModel", "CreateBatchPredictionJob"]
    (request,) = service.requests("CreateBatchPredictionJob")
    job = request["batchPredictionJob"]
    (instances,) = job["inputConfig"].pop("gcsSource")["uris"]
    assert instances.startswith("ram://bucket/out/instances/questions-1-")
    with tf.io.gfile.GFile(instances) as file:
        assert [json.loads(line) for line in file] == ['Where, is my "card"?', "Ü\u2028x", "{}"]
    name = job.pop("displayName")
    assert instances.endswith(f"/{name}.jsonl")
    assert request["parent"] == PARENT
    assert job == {
        "model": f"{MODEL}@1",
        "inputConfig": {"instancesFormat": "jsonl"},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "ram://bucket/out"},
        },
        "dedicatedResources": {
            "machineSpec": {"machineType": "n1-standard-8"},
            "startingReplicaCount": 1,
            "maxReplicaCount": 4,
        },
        "labels": {"team": "search"},
    }
    assert done.predictions is not None
    assert (done.predictions.succeeded, done.predictions.failed) == (3, 1)
    assert dict(done.lines())["predictions"].endswith("(3 rows predicted, 1 failed)")


def test_a_failed_batch_job_is_one_line(service: VertexService, tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl"
    table.write_text('{"text": "one"}\n')
    service.job_states = ["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_FAILED"]
    with pytest.raises(
        BadInputError,
        match=r"batch prediction job must succeed\. Received: JOB_STATE_FAILED, The replica .* status 1 \(",
    ):
        push(write_version(tmp_path, 1), batch_input=str(table), batch_output="ram://bucket/out")
    assert len(service.requests("GetBatchPredictionJob")) == 3


@pytest.mark.parametrize("fault", ["pair", "signature", "missing"])
def test_a_batch_that_cannot_be_predicted_is_refused(service: VertexService, tmp_path: Path, fault: str) -> None:
    version = write_version(tmp_path, 1)
    (tmp_path / "rows.csv").write_text("text,pair\na,b\n")
    table = BatchTable(pair_column="pair") if fault == "pair" else BatchTable()
    if fault == "signature":
        Path(version, "saved_model.pb").write_bytes(b"")
        model = saved_model_pb2.SavedModel()
        for name in ("question", "context"):
            (model.meta_graphs or [model.meta_graphs.add()])[0].signature_def["serving_default"].inputs[name].name = "x"
        Path(version, "saved_model.pb").write_bytes(model.SerializeToString())
    source = str(tmp_path / ("nothing.csv" if fault == "missing" else "rows.csv"))
    messages = {
        "pair": "takes one text. Received: pair_column='pair'",
        "signature": "which takes context, question",
        "missing": "`batch_input` must exist. Received: batch_input=",
    }
    with pytest.raises(BadInputError) as error:
        push(version, table, batch_input=source, batch_output="ram://bucket/out")
    assert messages[fault] in str(error.value)
    assert "CreateBatchPredictionJob" not in service.methods()
    if fault != "missing":
        assert service.methods() == []


# === The command ===


def test_the_command_pushes_a_model_and_deploys_it(
    service: VertexService, command: Command, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    write_version(tmp_path / "exported", 1)
    options = ["--region=europe-west4", "--model-name=questions", "--endpoint=live", "--labels=team=search,stage=test"]
    code, out, errors = command(
        "push-to-vertex",
        tmp_path / "exported",
        f"--push-folder={bucket}/models",
        "--version-aliases=champion",
        *options,
    )
    assert (code, errors) == (0, [])
    assert out.splitlines()[0] == f"Registered: {MODEL}@1 (uploaded)"
    assert "Traffic: 1000: 100%" in out
    model = service.requests("UploadModel")[0]["model"]
    artifact = model["artifactUri"]
    assert artifact.startswith(f"{bucket}/models/vertex/")
    assert model["versionAliases"] == ["champion"]
    assert {key: value for key, value in model["labels"].items() if "finger" not in key} == {
        "team": "search",
        "stage": "test",
    }
    number = artifact.rpartition("/")[2]
    assert tf.io.gfile.exists(f"{artifact}/{number}/saved_model.pb")
    # A version in the bucket needs no folder, and is not uploaded again.
    code, out, _ = command("push-to-vertex", f"{bucket}/models/{number}", *options)
    assert code == 0
    assert out.splitlines()[0] == f"Registered: {MODEL}@1 (unchanged, not uploaded again)"
    assert len(service.requests("UploadModel")) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model-name=q"], "`push-to-vertex` needs a project and a region. Received: no --project, no --region"),
        (["--project=my-project", "--region=europe-west4"], "Received: no `--model-name`"),
        (["--project=my-project", "--region=europe-west4", "--model-name=Q"], "`--model-name` must be lower-case"),
        (["--project=my-project", "--region=europe-west4", "--model-name=q"], "no `--push-folder`"),
        (
            ["--project=my-project", "--region=europe-west4", "--model-name=q", "--push-folder=s3://b/m"],
            "must be in a bucket. Received: --push-folder",
        ),
        (["--labels=Team=search"], "`--labels` must be at most 63 labels"),
        (["--min-replicas=3", "--max-replicas=2"], "`--max-replicas` must be at least `--min-replicas`"),
        (["--batch-input=x.csv"], "`--batch-input` and `--batch-output` belong together"),
    ],
)
def test_the_commands_errors_name_its_options(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    for variable in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_REGION"):
        monkeypatch.delenv(variable, raising=False)
    write_version(tmp_path / "exported", 1)
    code, _, (line,) = command("push-to-vertex", tmp_path / "exported", *options)
    assert code == 1
    assert message in line


def test_a_folder_without_a_model_is_named(command: Command, tmp_path: Path) -> None:
    code, _, (line,) = command(
        "push-to-vertex", tmp_path, "--project=my-project", "--region=europe-west4", "--model-name=q"
    )
    assert code == 1
    assert "must be an exported model. Received: " in line
