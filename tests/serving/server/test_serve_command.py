"""`kerasbert serve`: settings files, the line that it prints, and shutdown."""

import re
import signal

import httpx
import pytest

from .server_processes import served

CONFIG = """
model_config_list {{
  config {{
    name: "echo" base_path: "{base}" model_platform: "tensorflow"
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
"""


def test_settings_files_and_shutdown(echo_version, tmp_path):
    for name, text in (
        ("models", CONFIG.format(base=echo_version.parent)),
        ("batching", "max_batch_size { value: 16 }"),
        ("monitoring", 'prometheus_config { enable: true path: "/metrics" }'),
    ):
        (tmp_path / name).write_text(text)
    files = {
        "--model-config-file": "models",
        "--batching-parameters-file": "batching",
        "--monitoring-config-file": "monitoring",
    }
    arguments = [part for option, name in files.items() for part in (option, tmp_path / name)]
    with served(*arguments, "--rest-api-enable-cors-support") as (process, url):
        reply = httpx.post(f"{url}/v1/models/echo/labels/stable:predict", json={"instances": [1, 2]}, timeout=60)
        assert (reply.status_code, reply.json()) == (200, {"predictions": [2.5, 3.0]})
        assert reply.headers["access-control-allow-origin"] == "*"
        assert ":tensorflow:serving:request_count" in httpx.get(f"{url}/metrics", timeout=60).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(("runtime", "name"), [("c-library", "C library"), ("python", "Python package")])
def test_the_runtime_is_chosen_and_printed(echo_version, runtime, name):
    with served(echo_version.parent, "--tensorflow-runtime", runtime) as (process, url):
        assert re.fullmatch(rf"Running models with TensorFlow \S+ \({name}\)\n", process.lines[-2])
        reply = httpx.post(f"{url}/v1/models/model:predict", json={"instances": [1]}, timeout=60)
        assert reply.json() == {"predictions": [2.5]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/nothing"], "Could not find base path {folder}/nothing"),
        (["{folder}"], "Unable to find a numerical version path for servable model at: {folder}"),
        (["--model-config-file", "{folder}/none.config"], "{folder}/none.config; No such file or directory"),
        ([], "Use either MODEL_DIR or --model-config-file."),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message, capfd):
    from kerasbert.cli import main

    given = [argument.format(folder=tmp_path) for argument in arguments]
    with pytest.raises(SystemExit) as caught:
        main(["serve", *given, "--port", "0", "--grpc-port", "0"])
    assert caught.value.code
    assert message.format(folder=tmp_path) in capfd.readouterr().err
