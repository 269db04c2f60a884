"""Model folders and model names with characters that mean something to globs, URLs, shells or TensorFlow."""

import os
import shutil
from urllib.parse import quote

import httpx
import pytest

from kerasbert_serving.server import LocalServer

ODD = [
    "lr=[0.001]",
    "a b",
    "100%",
    "%41",
    "#1",
    "ein Gruß",
    "模型",
    "-m",
    "star*",
    "what?",
    "{a,b}",
    "back\\slash",
    "'\"",
    "a&b;c",
]


@pytest.fixture(scope="module")
def odd_models(echo_version, tmp_path_factory):
    """The echo model in folders with odd names, and one whose name is not valid UTF-8."""
    folder = tmp_path_factory.mktemp("odd")
    for name in [*ODD, os.fsdecode(b"latin\xe9")]:
        shutil.copytree(echo_version, folder / name / "1")
    return folder


@pytest.mark.parametrize("name", [*ODD, os.fsdecode(b"latin\xe9")], ids=ascii)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_with_an_odd_name_is_served(odd_models, name, end):
    with LocalServer(model_dir=f"{odd_models / name}{end}", model_name="m") as server:
        reply = httpx.post(f"{server.rest_url}/v1/models/m:predict", json={"instances": [1]}, timeout=30)
    assert reply.json() == {"predictions": [2.5]}


def test_a_relative_folder_with_a_leading_hyphen(odd_models, monkeypatch):
    monkeypatch.chdir(odd_models)
    with LocalServer(model_dir="-m", model_name="m") as server:
        assert httpx.get(f"{server.rest_url}/v1/models/m", timeout=30).json()["model_version_status"]


def test_odd_names_in_urls_and_in_a_configuration_file(odd_models, tmp_path):
    names = [*ODD, "a/b", "a:b", "a+b", "..", "x?y=1"]
    file = tmp_path / "models [1].config"
    escaped = {name: name.replace("\\", "\\\\").replace('"', '\\"') for name in names}
    file.write_text(
        "model_config_list {"
        + "".join(
            f'config {{ name: "{escaped[name]}" base_path: "{odd_models / "a b"}" model_platform: "tensorflow" }}'
            for name in names
        )
        + "}",
        encoding="utf-8",
    )
    with LocalServer(model_config_file=file) as server, httpx.Client(timeout=30) as client:
        for name in names:
            path = f"{server.rest_url}/v1/models/{quote(name, safe='').replace('.', '%2E')}"
            assert client.post(f"{path}:predict", json={"instances": [1]}).json() == {"predictions": [2.5]}, name
            assert client.get(f"{path}/versions/1/metadata").json()["model_spec"]["name"] == name
        missing = client.post(f"{server.rest_url}/v1/models/{quote('ä b')}:predict", json={"instances": [1]})
        assert missing.json() == {"error": "Servable not found for request: Latest(ä b)"}


def test_an_error_names_the_folder_and_no_temporary_one(tmp_path):
    version = tmp_path / "lr=[1]" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"\xff\xff")
    from kerasbert_serving.server import ServingError

    with pytest.raises(ServingError) as caught:
        LocalServer(model_dir=version.parent, model_name="m").__enter__()
    assert str(version) in caught.value.message
    assert "/model/" not in caught.value.message.replace(str(version), "")
