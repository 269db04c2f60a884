"""A compiled pipeline is submitted with Google's client, whose requests are intercepted before they are sent."""

import json

import pytest

pytest.importorskip("tfx.components", reason="TFX is not installed", exc_type=ImportError)

from google.auth import credentials, exceptions
from google.auth.transport import requests as transport
from requests import Request, Response

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import FineTuneSettings
from kerasbert_pipelines.vertex_and_kubeflow import submit_to_vertex

SETTINGS = FineTuneSettings(
    project="a-project",
    region="us-central1",
    service_account="runner@a-project.example",
    pipeline_root="gs://bucket/root",
)
JOB = {
    "displayName": "kerasbert-fine-tune",
    "pipelineSpec": {
        "schemaVersion": "2.1.0",
        "sdkVersion": "tfx-1.16.0",
        "pipelineInfo": {"name": "kerasbert-fine-tune"},
        "root": {
            "dag": {"tasks": {}},
            "inputDefinitions": {
                "parameters": {
                    "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3, "isOptional": True},
                    "learning_rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 5e-5, "isOptional": True},
                }
            },
        },
        "deploymentSpec": {"executors": {}},
        "components": {},
    },
    "runtimeConfig": {"gcsOutputDirectory": "gs://bucket/root"},
}


@pytest.fixture
def compiled(tmp_path):
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(JOB))
    return path


@pytest.fixture
def aiplatform():
    """Google's client. Importing it takes 11 s, so only the tests of this file do so."""
    from google.cloud import aiplatform

    return aiplatform


@pytest.fixture
def wire(aiplatform, monkeypatch):
    """The intercepted requests, and the answer that they get."""
    requests = []
    body = {"name": "projects/1/locations/us-central1/pipelineJobs/run-1", "state": 1, "projectNumber": "1"}
    answer = {"status": 200, "body": body, "routes": {}}

    def request(self, method, url, data=None, headers=None, **kwargs):
        requests.append({"method": method, "url": url, "body": json.loads(data or "{}")})
        response = Response()
        response.request = Request(method, url).prepare()
        response.status_code = answer["status"]
        ends = [end for end in answer["routes"] if url.partition("?")[0].endswith(end)]
        response._content = json.dumps(answer["routes"][ends[0]] if ends else answer["body"]).encode()
        response.headers["content-type"] = "application/json"
        return response

    monkeypatch.setattr(transport.AuthorizedSession, "request", request)
    # The client looks this number up over gRPC before it uses the bucket.
    number = "google.cloud.aiplatform.utils.resource_manager_utils.get_project_number"
    monkeypatch.setattr(number, lambda *arguments, **options: "1")
    aiplatform.init(
        project="a-project",
        location="us-central1",
        credentials=credentials.AnonymousCredentials(),
        api_transport="rest",
    )
    yield requests, answer
    aiplatform.init(api_transport="grpc")


def test_the_request_contains_the_pipeline_its_parameters_and_the_service_account(compiled, wire):
    requests, _ = wire
    run = submit_to_vertex.submit(compiled, SETTINGS, {"epochs": 5}, job_id="run-1")
    assert run.resource_name == "projects/1/locations/us-central1/pipelineJobs/run-1"
    (request,) = [request for request in requests if request["method"].upper() == "POST"]
    assert "/v1/projects/a-project/locations/us-central1/pipelineJobs" in request["url"]
    body = request["body"]
    assert body["serviceAccount"] == "runner@a-project.example"
    assert body["runtimeConfig"]["parameterValues"] == {"epochs": 5, "learning_rate": 5e-5} or (
        body["runtimeConfig"]["parameterValues"] == {"epochs": 5}
    )
    assert body["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/root"
    assert body["pipelineSpec"]["pipelineInfo"] == {"name": "kerasbert-fine-tune"}


def test_a_schedule_starts_one_run_at_a_time(compiled, wire):
    requests, answer = wire
    name = "projects/1/locations/us-central1/schedules/7"
    answer["body"] = {"name": name, "displayName": "kerasbert-fine-tune"}
    schedule = submit_to_vertex.submit(compiled, SETTINGS, {"epochs": 5}, schedule="TZ=Europe/Berlin 0 3 * * *")
    assert schedule.resource_name == name
    (request,) = [request for request in requests if request["method"].upper() == "POST"]
    assert request["url"].partition("?")[0].endswith("/projects/a-project/locations/us-central1/schedules")
    body = request["body"]
    assert (body["cron"], body["maxConcurrentRunCount"]) == ("TZ=Europe/Berlin 0 3 * * *", "1")
    job = body["createPipelineJobRequest"]["pipelineJob"]
    assert job["runtimeConfig"]["parameterValues"]["epochs"] == 5
    assert job["serviceAccount"] == "runner@a-project.example"


def test_a_run_may_belong_to_an_experiment(compiled, wire):
    requests, answer = wire
    contexts = "projects/a-project/locations/us-central1/metadataStores/default/contexts"
    run = {**answer["body"], "jobDetail": {"pipelineRunContext": {"name": f"{contexts}/run-1"}}}
    answer["routes"] = {
        "/contexts/questions": {"name": f"{contexts}/questions", "schemaTitle": "system.Experiment", "metadata": {}},
        "/pipelineJobs": run,
        "/pipelineJobs/run-1": run,
        "/contexts/run-1": {"name": f"{contexts}/run-1", "schemaTitle": "system.PipelineRun"},
        "/metadataStores/default": {"name": contexts.removesuffix("/contexts")},
    }
    submit_to_vertex.submit(compiled, SETTINGS, job_id="run-1", experiment="questions")
    posts = [request for request in requests if request["method"].upper() == "POST"]
    assert [request["url"].partition("?")[0].rpartition("/")[2] for request in posts] == [
        "pipelineJobs",
        "questions:addContextChildren",
    ]
    assert posts[1]["body"]["childContexts"] == [f"{contexts}/run-1"]


def test_an_experiment_and_a_schedule_exclude_each_other(compiled, wire):
    requests, _ = wire
    with pytest.raises(BadInputError, match=r"Only a run that starts now .* Received: experiment='e', schedule='0 3 "):
        submit_to_vertex.submit(compiled, SETTINGS, schedule="0 3 * * *", experiment="e")
    assert requests == []


def test_numbers_that_yaml_reads_as_text_are_converted(compiled, wire):
    requests, _ = wire
    submit_to_vertex.submit(compiled, SETTINGS, {"learning_rate": "1e-4", "epochs": "7"})
    (request,) = [request for request in requests if request["method"].upper() == "POST"]
    values = request["body"]["runtimeConfig"]["parameterValues"]
    assert (values["learning_rate"], values["epochs"]) == (1e-4, 7)


def test_an_error_of_vertex_ai_is_one_line(compiled, wire):
    _, answer = wire
    answer.update(status=403, body={"error": {"code": 403, "message": "no permission", "status": "PERMISSION_DENIED"}})
    with pytest.raises(BadInputError, match=r"Vertex AI refused the run\. Received: 403 .*no permission"):
        submit_to_vertex.submit(compiled, SETTINGS)


def test_missing_credentials_are_one_line(compiled, aiplatform, monkeypatch):
    def refuse(*arguments, **options):
        raise exceptions.DefaultCredentialsError("none found")

    monkeypatch.setattr(aiplatform, "PipelineJob", refuse)
    with pytest.raises(BadInputError, match="needs credentials"):
        submit_to_vertex.submit(compiled, SETTINGS)


@pytest.mark.parametrize(
    ("settings", "parameters", "content", "message"),
    [
        (SETTINGS, {"epoch": 5}, JOB, r"Received: epoch\. Use some of: epochs, learning_rate"),
        (SETTINGS, {"epochs": 2.5}, JOB, r"'epochs' must be a whole number\. Received: epochs=2\.5"),
        (SETTINGS, {"epochs": "two"}, JOB, "must be a whole number"),
        (SETTINGS, {"epochs": True}, JOB, "must be a whole number"),
        (SETTINGS, {"learning_rate": None}, JOB, "must be a number"),
        (FineTuneSettings(), {}, JOB, "needs a project and a region"),
        (SETTINGS, {}, {"pipelineSpec": {}}, "must be a pipeline compiled for Vertex AI"),
        (SETTINGS, {}, [], "must be a pipeline compiled for Vertex AI"),
    ],
)
def test_invalid_submissions_send_no_request(tmp_path, settings, parameters, content, message):
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(content))
    with pytest.raises(BadInputError, match=message):
        submit_to_vertex.submit(path, settings, parameters)
