"""The layers that the serving image adds to TensorFlow Serving's, built on a stand-in for it: files, modes and user.

TensorFlow Serving itself is only published as an image, so the server that the readiness check asks is the local one.
"""

import json
import shutil

import pytest

from kerasbert import export
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert_serving.server import LocalServer

from .conftest import BASE, ROOT
from .image_files import paths

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

IMAGE = "localhost/bert-serving:1"
DEPLOY = ROOT / "serving" / "deploy"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of a model's versions, as it is exported."""
    folder = tmp_path_factory.mktemp("context") / "exported"
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bread"])
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    backbone = BertBackbone.from_config(BertConfig(vocab_size=6, max_position_embeddings=16, **sizes))
    to_inputs = TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=16)
    export.save(BertSequenceClassifier(backbone, num_labels=2), folder, to_inputs, labels=["yes", "no"])
    return folder


@pytest.fixture(scope="module")
def serving_image(builder, exported):
    # The build context has what the Dockerfile names, and nothing else.
    shutil.copytree(DEPLOY, exported.parent / "serving" / "deploy")
    builder.build(IMAGE, DEPLOY / "docker/Dockerfile", exported.parent, {"BASE": BASE, "MODEL_DIR": "exported"})
    return IMAGE


@pytest.fixture(scope="module")
def serving_container(builder, serving_image):
    with builder.container(serving_image) as container:
        yield container


def test_the_image_adds_the_model_the_settings_and_the_check(serving_container, base_root, exported):
    root = serving_container.root
    added = {path for path in paths(root) - paths(base_root) if (root / path).is_file()}
    model = {f"models/bert/{path}" for path in paths(exported) if (exported / path).is_file()}
    assert "models/bert/1/saved_model.pb" in model
    config = {f"etc/tf_serving/{name}.config" for name in ("models", "batching", "monitoring")}
    assert added == {*model, *config, "usr/local/bin/model_ready"}
    sources = {f"etc/tf_serving/{path.name}": path for path in (DEPLOY / "config").glob("*.config")}
    sources |= {path: exported / path.removeprefix("models/bert/") for path in model}
    sources["usr/local/bin/model_ready"] = DEPLOY / "docker/model_ready.sh"
    assert [path for path, source in sources.items() if (root / path).read_bytes() != source.read_bytes()] == []


def test_the_server_runs_without_root_and_may_read_but_not_change_its_files(serving_container, builder, serving_image):
    config = builder.config(serving_image)
    assert config["User"] == "65532:65532"
    assert config["ExposedPorts"].keys() == {"8500/tcp", "8501/tcp"}
    assert config["Healthcheck"]["Test"] == ["CMD", "model_ready", "bert"]
    assert config["Entrypoint"] == ["tensorflow_model_server"]
    settings = [flag.partition("=")[2] for flag in config["Cmd"] if "_file=" in flag]
    script = """
id -u
find /models /etc/tf_serving ! -readable -o -type d ! -executable
find /models /etc/tf_serving /usr/local/bin/model_ready -writable
"""
    assert serving_container.run("bash", "-c", script + f"ls {' '.join(settings)}").split() == [
        "65532",
        *sorted(settings),
    ]


def test_the_check_runs_in_the_image(serving_container, exported):
    def ready(model, port):
        code = serving_container.run("bash", "-c", f"model_ready {model} {port} >&2; echo $?", network=True)
        return code.strip() == "0"

    with LocalServer(model_dir=exported, model_name="bert") as server:
        assert ready("bert", server.rest_port)
        assert not ready("nobody", server.rest_port)
    assert not ready("bert", server.rest_port)


def test_the_settings_name_the_folder_of_the_model(serving_container):
    text = (serving_container.root / "etc/tf_serving/models.config").read_text()
    assert json.dumps("/models/bert") in text
