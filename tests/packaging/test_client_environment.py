"""The wheel of kerasbert-client in an empty environment, where it asks a real server without TensorFlow."""

import json
import warnings

import pytest

from .commands import run

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of a model with the outputs of a classifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import tensorflow as tf

    from kerasbert_serving.server import LocalServer

    class Classifier(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def classify(self, text):
            is_long = tf.strings.length(text, "UTF8_CHAR") > 3
            scores = tf.where(is_long[:, None], [[0.75, 0.25]], [[0.625, 0.375]])
            labels = tf.where(is_long[:, None], [["länger", "short"]], [["short", "länger"]])
            return {"label": labels[:, 0], "probability": scores[:, 0], "labels": labels, "probabilities": scores}

    folder = tmp_path_factory.mktemp("model")
    module = Classifier()
    tf.saved_model.save(module, str(folder / "1"), signatures={"serving_default": module.classify})
    with LocalServer(model_dir=folder, model_name="bert") as server:
        yield server


PROGRAM = """
import asyncio, json, sys
from kerasbert_serving.clients import AsyncGrpcClient, AsyncRestClient, GrpcClient, RestClient
rest, grpc = sys.argv[1:]
texts = ["größer", "abc"]

async def ask(kind, address):
    async with kind(address, "bert") as client:
        return [answer.label for answer in await client.classify(texts)]

answers = []
for kind, address in ((RestClient, rest), (GrpcClient, grpc)):
    with kind(address, "bert") as client:
        answers.append([answer.label for answer in client.classify(texts)])
        answers.append(client.status()[0].state)
for kind, address in ((AsyncRestClient, rest), (AsyncGrpcClient, grpc)):
    answers.append(asyncio.run(ask(kind, address)))
heavy = [name for name in ("tensorflow", "keras", "kerasbert", "matplotlib") if name in sys.modules]
print(json.dumps([answers, heavy]))
"""


def test_a_real_server_is_asked_over_rest_and_grpc(client_environment, server, tmp_path):
    arguments = [server.rest_url, server.grpc_address]
    answers, heavy = json.loads(run(str(client_environment), "-c", PROGRAM, *arguments, cwd=tmp_path))
    labels = ["länger", "short"]
    assert answers == [labels, "AVAILABLE", labels, "AVAILABLE", labels, labels]
    assert heavy == []


def test_the_commands_run(client_environment, server, tmp_path):
    python = str(client_environment)
    where = ["--rest", server.rest_url, "--model", "bert"]
    line = run(python, "-m", "kerasbert_serving.clients", "classify", "größer", *where, cwd=tmp_path)
    assert json.loads(line)["label"] == "länger"
    (tmp_path / "texts.txt").write_text("größer\nabc\n", encoding="utf-8")
    short = ["--seconds", "0.2", "--warm-up-seconds", "0"]
    printed = run(python, "-m", "kerasbert_serving.load_test", "texts.txt", *where, *short, cwd=tmp_path)
    assert "requests answered in" in printed


def test_nothing_else_is_installed(client_environment, tmp_path):
    program = "import importlib.metadata as m; print(*sorted({d.name.lower() for d in m.distributions()}))"
    names = set(run(str(client_environment), "-c", program, cwd=tmp_path).split())
    assert {"kerasbert-client", "numpy", "protobuf", "grpcio", "httpcore"} <= names
    assert len(names) < 15, names
    assert not names & {"kerasbert", "tensorflow", "keras"}
