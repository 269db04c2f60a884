"""A compiled pipeline is started on Kubeflow Pipelines with its client, which talks to an HTTP server of this test."""

import http.server
import json
import threading

import pytest

pytest.importorskip("tfx.components", reason="TFX is not installed", exc_type=ImportError)

from kerasbert.errors import BadInputError
from kerasbert_pipelines.vertex_and_kubeflow.compile import compile_pipeline
from kerasbert_pipelines.vertex_and_kubeflow.submit_to_kubeflow import submit

from .compiled_settings import FACTORIES


class Api:
    """The parts of Kubeflow Pipelines' API that a submission needs, and the requests that it received."""

    def __init__(self, tag_name="2.14.0", refusal=None):
        self.requests = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                self.answer(None)

            def do_POST(self):
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, body):
                path = self.path.partition("?")[0]
                api.requests.append((self.command, path, body, self.headers.get("Authorization")))
                status, reply = 200, {}
                if path.endswith("/healthz"):
                    reply = {"tag_name": tag_name, "multi_user": False}
                elif path.endswith("/experiments"):
                    found = {"experiment_id": "e1", "display_name": "Default"}
                    reply = {"experiments": [found]} if self.command == "GET" else found
                elif refusal:
                    status, reply = refusal
                elif path.endswith("/runs"):
                    reply = {"run_id": "r1"}
                elif path.endswith("/recurringruns"):
                    reply = {"recurring_run_id": "s1"}
                content = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def posted(self, name):
        """Returns the body of the only request that created something."""
        (body,) = [body for command, path, body, _ in self.requests if command == "POST" and path.endswith(name)]
        return body


@pytest.fixture
def make_api():
    apis = []

    def make(**options):
        apis.append(Api(**options))
        return apis[-1]

    yield make
    for api in apis:
        api.close()


@pytest.fixture
def compiled(make_settings, tmp_path):
    settings = make_settings("fine-tune", pipeline_root="minio://artifacts/v2", push_folder="/models")
    return compile_pipeline(FACTORIES["fine-tune"], settings, "kubeflow", tmp_path / "fine-tune.yaml")


def test_a_run_has_the_root_and_typed_values(compiled, make_api, monkeypatch):
    monkeypatch.setenv("KUBEFLOW_TOKEN", "secret")
    api = make_api()
    run = submit(compiled, api.host, {"epochs": "5", "learning_rate": "1e-4"}, service_account="trainer")
    assert (run.id, run.page) == ("r1", f"{api.host}/#/runs/details/r1")
    body = api.posted("/runs")
    assert body["runtime_config"] == {
        "parameters": {"epochs": 5, "learning_rate": 1e-4},
        "pipeline_root": "minio://artifacts/v2",
    }
    assert (body["display_name"], body["service_account"]) == ("kerasbert-fine-tune", "trainer")
    tasks = (
        body["pipeline_spec"]["pipeline_spec"] if "pipeline_spec" in body["pipeline_spec"] else body["pipeline_spec"]
    )
    caching = {name: task["cachingOptions"] for name, task in tasks["root"]["dag"]["tasks"].items()}
    assert caching.pop("InputCheck") == {}
    assert set(map(str, caching.values())) == {"{'enableCache': True}"}
    assert {authorization for *_, authorization in api.requests} == {"Bearer secret"}


def test_a_schedule_becomes_a_recurring_run(compiled, make_api, command):
    api = make_api()
    arguments = ["--target", "kubeflow", "--host", api.host, "--schedule", "0 0 3 * * *", "-p", "epochs=5"]
    code, out, errors = command("submit", compiled, *arguments)
    assert (code, errors) == (0, [])
    assert "Recurring run: kerasbert-fine-tune (s1)" in out
    body = api.posted("/recurringruns")
    assert body["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert body["runtime_config"]["parameters"] == {"epochs": 5}


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"tag_name": "2.4.1"}, {}, r"version 2\.5 to 2\.17.*Received: version 2\.4 at "),
        ({}, {"epoch": 5}, r"must be inputs of .* Received: epoch\. Use some of: batch_size, data, epochs"),
        ({}, {"epochs": "many"}, r"'epochs' must be a whole number\. Received: epochs='many'"),
        ({"refusal": (400, {"message": "bad spec"})}, {}, r"refused the run\. Received: 400 .*bad spec"),
    ],
)
def test_what_cannot_run_is_refused(compiled, make_api, options, values, message):
    api = make_api(**options)
    with pytest.raises(BadInputError, match=message):
        submit(compiled, api.host, values)


def test_a_build_without_a_version_is_accepted(compiled, make_api):
    assert submit(compiled, make_api(tag_name="unknown").host).id == "r1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "kubeflow"], "--target kubeflow needs --host"),
        (
            ["--target", "kubeflow", "--host", "http://127.0.0.1:9", "--project", "p"],
            "--project is an option for vertex",
        ),
        (["--host", "http://127.0.0.1:9"], "--host is an option for kubeflow"),
        (["--target", "kubeflow", "--host", "http://x", "--schedule", "0 3 * * *"], "6 fields"),
    ],
)
def test_options_that_contradict_are_refused(compiled, command, arguments, message):
    code, out, (line,) = command("submit", compiled, *arguments)
    assert (code, out) == (1, "")
    assert message in line


def test_an_address_where_nothing_answers_is_refused(compiled, make_api):
    api = make_api()
    api.close()
    with pytest.raises(BadInputError, match=r"must answer at `host`\. Received: host='http://127"):
        submit(compiled, api.host)
