"""A server whose versions change: new, corrupt and deleted versions, warm-up, and new configurations."""

import shutil
import threading
import time

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
)

from kerasbert_serving.server import LocalServer, ServingError


def write_version(base, number, warmup=None):
    """Writes a version whose default signature adds the version number, and renames it when it is complete."""

    class Adder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def add(self, x):
            return {"y": x + float(number)}

    module = Adder()
    aside = base.parent / f"aside-{number}"
    tf.saved_model.save(module, str(aside), signatures=module.add)
    if warmup is not None:
        (aside / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(str(aside / "assets.extra" / "tf_serving_warmup_requests")) as writer:
            for record in warmup:
                writer.write(record)
    aside.rename(base / str(number))


def warmup_record(name="x"):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "adder"
    request.inputs[name].CopyFrom(tf.make_tensor_proto([1.0]))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return log.SerializeToString()


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "adder"
    path.mkdir()
    write_version(path, 1, [warmup_record()])
    return path


@pytest.fixture
def server(base):
    # The tests decide when the folders are checked.
    with LocalServer(model_dir=base, model_name="adder", file_system_poll_wait_seconds=0) as server:
        yield server


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.rest_url, timeout=60) as client:
        yield client


def ask(client, path="/v1/models/adder:predict"):
    return client.post(path, content=b'{"instances": [0]}')


def test_a_new_version_replaces_the_old_one_without_losing_a_request(server, client, base):
    stop, answers = threading.Event(), []

    def keep_asking():
        with httpx.Client(base_url=server.rest_url, timeout=60) as own:
            while not stop.is_set():
                reply = ask(own)
                answers.append((reply.status_code, reply.text))

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in (2, 3):
        write_version(base, number, [warmup_record()])
        server.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert ask(client).json() == {"predictions": [3.0]}
    reply = ask(client, "/v1/models/adder/versions/1:predict")
    assert (reply.status_code, reply.json()) == (
        404,
        {"error": "Servable not found for request: Specific(adder, 1)"},
    )


def test_a_corrupt_version_reports_why_and_the_old_one_is_still_served(server, client, base):
    write_version(base, 2)
    (base / "2" / "saved_model.pb").write_bytes(b"not a model")
    server.refresh()
    assert ask(client).json() == {"predictions": [1.0]}
    newest, oldest = client.get("/v1/models/adder").json()["model_version_status"]
    assert (newest["version"], newest["state"]) == ("2", "END")
    assert newest["status"]["error_code"] != "OK"
    assert "saved_model.pb" in newest["status"]["error_message"] or "2" in newest["status"]["error_message"]
    assert (oldest["version"], oldest["state"]) == ("1", "AVAILABLE")


def test_truncated_weights_are_a_corrupt_version(server, client, base):
    write_version(base, 2)
    shutil.rmtree(base / "2" / "variables")
    server.refresh()
    assert ask(client).status_code == 200


def test_a_version_deleted_while_serving_is_unloaded(server, client, base):
    assert ask(client).status_code == 200
    shutil.rmtree(base / "1")
    server.refresh()
    assert ask(client).status_code == 404
    write_version(base, 2)
    server.refresh()
    assert ask(client).json() == {"predictions": [2.0]}


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ([warmup_record("no_such_input")], "not found in request"),
        ([b"\xff\xff"], "Failed to parse warmup record"),
        ([warmup_record()] * 1001, "exceeds the maximum"),
    ],
)
def test_a_version_whose_warm_up_fails_is_not_served(server, client, base, records, error):
    write_version(base, 2, records)
    server.refresh()
    newest = client.get("/v1/models/adder/versions/2").json()["model_version_status"][0]
    assert newest["state"] == "END"
    assert error in newest["status"]["error_message"]
    assert ask(client).json() == {"predictions": [1.0]}


def test_the_watcher_continues_after_an_unreadable_warm_up_file(base, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    write_version(made, 2, [])
    records = made / "2" / "assets.extra" / "tf_serving_warmup_requests"
    records.unlink()
    records.mkdir()
    with (
        LocalServer(model_dir=base, model_name="adder", file_system_poll_wait_seconds=0.05) as server,
        httpx.Client(base_url=server.rest_url, timeout=60) as client,
    ):
        (made / "2").rename(base / "2")
        wait_until(lambda: '"state": "END"' in client.get("/v1/models/adder").text)
        write_version(base, 3)
        wait_until(lambda: ask(client).json() == {"predictions": [3.0]})


def wait_until(is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_watcher_finds_a_new_version(base):
    with (
        LocalServer(model_dir=base, model_name="adder", file_system_poll_wait_seconds=0.05) as server,
        httpx.Client(base_url=server.rest_url, timeout=60) as client,
    ):
        write_version(base, 2)
        wait_until(lambda: ask(client).json() == {"predictions": [2.0]})


def test_reload_by_grpc_with_policies_and_labels(server, client, base):
    write_version(base, 2)
    request = model_management_pb2.ReloadConfigRequest()
    config = request.config.model_config_list.config.add(name="adder", base_path=str(base), model_platform="tensorflow")
    config.model_version_policy.specific.versions.extend([1, 2])
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        request.metric_names.extend(["/tensorflow/cc/saved_model/load_attempt_count", "/no/such/metric"])
        response = stub.HandleReloadConfigRequest(request, timeout=60)
        assert response.status.error_code == 0
        assert [metric.int64_value_increase for metric in response.metric] == [
            0,
            0,
        ]  # the first counter is that of version 1
        config.version_labels["stable"] = 1
        config.version_labels["canary"] = 2
        stub.HandleReloadConfigRequest(request, timeout=60)
        assert ask(client, "/v1/models/adder/labels/stable:predict").json() == {"predictions": [1.0]}
        assert ask(client, "/v1/models/adder/labels/canary:predict").json() == {"predictions": [2.0]}
        config.version_labels["canary"] = 9
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(request, timeout=60)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=60)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert ask(client, "/v1/models/adder/labels/canary:predict").json() == {"predictions": [2.0]}


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ([{"base_path": "/a"}, {"base_path": "/a"}], "Illegal to list model adder multiple times in config list"),
        ([{"base_path": "a"}], "Expected model adder to have an absolute path or URI; got base_path()=a"),
        ([{"base_path": "/a", "model_platform": "pytorch"}], "requests unsupported platform pytorch"),
        ([{"base_path": "/a", "model_platform": ""}], "Illegal setting neither ModelServerConfig::model_type"),
    ],
)
def test_invalid_configurations_are_refused(server, entries, error):
    request = model_management_pb2.ReloadConfigRequest()
    for entry in entries:
        request.config.model_config_list.config.add(**{"name": "adder", "model_platform": "tensorflow", **entry})
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(request, timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error in caught.value.details()


CONFIG = """
model_config_list {{
  config {{
    name: "first" base_path: "{base}" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
  config {{ name: "second" base_path: "{base}" model_platform: "tensorflow" }}
}}
"""


def test_a_configuration_file(base, tmp_path):
    write_version(base, 2)
    file = tmp_path / "models.config"
    file.write_text(CONFIG.format(base=base))
    with (
        LocalServer(model_config_file=file, model_config_file_poll_wait_seconds=0.05) as server,
        httpx.Client(base_url=server.rest_url, timeout=60) as client,
    ):
        assert ask(client, "/v1/models/first/labels/stable:predict").json() == {"predictions": [1.0]}
        assert ask(client, "/v1/models/second:predict").json() == {"predictions": [2.0]}
        file.write_text(CONFIG.format(base=base).replace('"second"', '"third"'))
        for _ in range(10_000):
            if ask(client, "/v1/models/third:predict").status_code == 200:
                break
        assert ask(client, "/v1/models/third:predict").json() == {"predictions": [2.0]}


@pytest.mark.parametrize(
    ("text", "error"), [("models {", "Invalid protobuf file"), (None, "No such file or directory")]
)
def test_an_unreadable_configuration_file(tmp_path, text, error):
    file = tmp_path / "models.config"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ServingError, match=error), LocalServer(model_config_file=file):
        pass


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "Exactly one of `model_dir` and `model_config_file`"),
        ({"model_dir": "a", "rest_port": 70000}, "`rest_port` must be between"),
        ({"model_dir": "a", "rest_port": 8500, "grpc_port": 8500}, "must differ"),
    ],
)
def test_contradictory_options_are_refused(options, error):
    with pytest.raises(ValueError, match=error):
        LocalServer(**options)
