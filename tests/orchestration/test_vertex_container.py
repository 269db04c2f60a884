"""The container that Vertex AI is told to start: its arguments, health route and predict route, on the local server."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kerasbert import export
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs
from kerasbert_serving.server import LocalServer
from kerasbert_tfx.components.model_pusher import push
from kerasbert_tfx.vertex.client import Vertex
from kerasbert_tfx.vertex.container import BATCHING, container_spec, serving_image
from kerasbert_tfx.vertex.model_registry import write_artifact

ROOT = Path(__file__).parents[2]
# TensorFlow Serving's flags that the local server has as options, with their types.
OPTIONS: dict[str, Any] = {
    "port": int,
    "rest_api_port": int,
    "rest_api_timeout_in_ms": int,
    "model_name": str,
    "model_base_path": str,
    "file_system_poll_wait_seconds": float,
    "enable_batching": json.loads,
    "batching_parameters_file": str,
}
RENAMED = {"port": "grpc_port", "rest_api_port": "rest_port", "model_base_path": "model_dir"}


@pytest.fixture(scope="module")
def artifact(preprocessing: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The artifact folder of a pushed classifier."""
    to_inputs = TextToInputs.load(preprocessing, sequence_length=16)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(to_inputs.vocabulary), max_position_embeddings=16, **sizes)
    model = BertSequenceClassifier(BertBackbone.from_config(config), num_labels=2)
    folder = tmp_path_factory.mktemp("models")
    version = export.save(model, folder / "exported", to_inputs, labels=["animals", "tools"])
    return write_artifact(push(str(version), str(folder / "pushed")))


@pytest.fixture(scope="module")
def spec() -> Any:
    return container_spec("questions", serving_image(None, Vertex("my-project", "us-central1")))


@pytest.fixture(scope="module")
def container(artifact: str, spec: Any) -> Iterator[str]:
    """The address of a server that is started as Vertex AI starts the container."""
    # The port is that of the contract; in a test, a free one takes its place.
    variables = {"AIP_STORAGE_URI": artifact, "AIP_HTTP_PORT": "0", "AIP_MODE": "PREDICTION"}
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], text) for text in spec.args]
    options = {}
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        options[RENAMED.get(name, name)] = OPTIONS[name](value)
    options["grpc_port"] = 0
    with LocalServer(**options) as server:
        yield server.rest_url


def ask(address: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as reply:
        return reply.status, json.loads(reply.read())


def test_the_health_route_answers_200(container: str, spec: Any) -> None:
    status, body = ask(container + spec.health_route)
    assert status == 200
    assert body["model_version_status"][0]["state"] == "AVAILABLE"


@pytest.mark.parametrize("extra", [{}, {"parameters": {"anything": 1}}, {"parameters": None}])
def test_the_predict_route_takes_the_body_of_vertex_ai(container: str, spec: Any, extra: dict[str, Any]) -> None:
    status, body = ask(container + spec.predict_route, {"instances": ["the dog", "the hammer"], **extra})
    assert status == 200
    assert list(body) == ["predictions"]
    assert len(body["predictions"]) == 2
    assert body["predictions"][0]["label"] in ("animals", "tools")
    # An instance may name the input, as lines of a batch job do if they are objects.
    _, named = ask(container + spec.predict_route, {"instances": [{"text": "the dog"}]})
    assert named["predictions"][0]["label"] == body["predictions"][0]["label"]


def test_the_container_listens_where_vertex_ai_sends_requests(spec: Any) -> None:
    assert [port.container_port for port in spec.ports] == [8080]
    assert spec.startup_probe.http_get.port == 8080
    assert list(spec.command) == ["tensorflow_model_server"]


def test_every_argument_is_a_flag_of_the_server_that_is_deployed_elsewhere(spec: Any) -> None:
    flags = {argument.partition("=")[0].removeprefix("--") for argument in spec.args}
    assert flags <= OPTIONS.keys()
    dockerfile = (ROOT / "serving/deploy/docker/Dockerfile").read_text(encoding="utf-8")
    (image,) = re.findall(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    assert spec.image_uri.endswith(f"/docker-hub/{image}")


def test_the_batching_settings_are_those_of_the_deployment_files() -> None:
    file = ROOT / "serving/deploy/config/batching.config"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert BATCHING.splitlines() == lines


def test_a_project_with_a_domain_has_its_mirror_in_a_folder() -> None:
    assert serving_image(None, Vertex("example.com:shop", "us-east1")) == (
        "us-east1-docker.pkg.dev/example.com/shop/docker-hub/tensorflow/serving:2.20.0"
    )
