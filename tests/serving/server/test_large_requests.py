"""Large requests and replies: other clients are answered at the same time, and limits count bytes."""

import json
import shutil
import socket
import time

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf

from kerasbert_serving import protos
from kerasbert_serving.server import LocalServer

COLUMNS = 2_000_000
PREDICT = protos.METHODS[protos.PREDICTION_SERVICE]["Predict"]


@pytest.fixture(scope="module")
def wide_version(tmp_path_factory):
    """A version folder of a model that returns two million numbers per row."""

    class Wide(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def widen(self, x):
            return {"y": x[:, tf.newaxis] / tf.range(3, 3 + COLUMNS, dtype=tf.float32)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def double(self, x):
            return {"y": 2 * x}

    path = tmp_path_factory.mktemp("wide") / "1"
    module = Wide()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.widen, "double": module.double})
    return path


@pytest.fixture
def wide_server(wide_version):
    # Replies whose clients are gone are not worth waiting for at the end.
    options = {"rest_api_timeout_in_ms": 500_000, "shutdown_grace_seconds": 1}
    with LocalServer(model_dir=wide_version.parent, model_name="wide", **options) as server:
        yield server


def wait_for_the_run(server):
    """Waits until the model has run, so that only the reply is left to be produced."""
    page = f"{server.rest_url}/monitoring/prometheus/metrics"
    while ":tensorflow:serving:runtime_latency_count" not in httpx.get(page, timeout=100).text:
        time.sleep(0.001)


def rest_request(body):
    return b"POST /v1/models/wide:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_a_status_call_is_answered_before_a_large_rest_reply(wide_server, key):
    with socket.create_connection((wide_server.options.host, wide_server.rest_port)) as connection:
        connection.sendall(rest_request(b'{"%s": [1]}' % key.encode()))
        wait_for_the_run(wide_server)
        assert httpx.get(f"{wide_server.rest_url}/v1/models/wide", timeout=100).status_code == 200
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # not a byte of the large reply has been sent
            connection.recv(1)
        connection.settimeout(500)
        head, _, reply = connection.recv(2**16).partition(b"\r\n\r\n")
        parts, missing = [reply], int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(reply)
        while missing:
            parts.append(connection.recv(2**20))
            missing -= len(parts[-1])
    values = json.loads(b"".join(parts))
    np.testing.assert_array_equal(
        np.float32(values["predictions" if key == "instances" else "outputs"][0]),
        np.float32(1) / np.arange(3, 3 + COLUMNS, dtype=np.float32),
    )


def test_a_status_call_is_answered_before_a_large_grpc_reply(wide_server):
    request = PREDICT.request(model_spec={"name": "wide"})
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add(size=5)
    request.inputs["x"].float_val.append(1)
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(wide_server.grpc_address, options) as channel:
        call = channel.unary_unary(PREDICT.path, PREDICT.request.SerializeToString, PREDICT.response.FromString)
        answer = call.future(request, timeout=500)
        wait_for_the_run(wide_server)
        assert httpx.get(f"{wide_server.rest_url}/v1/models/wide", timeout=100).status_code == 200
        assert not answer.done()
        values = answer.result().outputs["y"].float_val
    assert len(values) == 5 * COLUMNS
    assert values[0] == np.float32(1) / np.float32(3)


# So many values that the reply is produced in a thread.
MEDIUM = {"signature_name": "double", "instances": [1.5] * 5000}


def medium_reply(server):
    reply = httpx.post(f"{server.rest_url}/v1/models/wide:predict", json=MEDIUM, timeout=500)
    return reply.json()["predictions"]


def test_smaller_replies_take_turns_with_many_large_ones(wide_server):
    connections = [socket.create_connection((wide_server.options.host, wide_server.rest_port)) for _ in range(4)]
    for connection in connections:
        connection.sendall(rest_request(b'{"instances": [1, 1]}'))
    wait_for_the_run(wide_server)
    for _ in range(3):
        assert medium_reply(wide_server) == [3.0] * 5000
    for connection in connections:
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # none of the large replies is complete
            connection.recv(1)
        connection.close()


def test_a_client_that_reads_a_large_reply_slowly_delays_nobody(wide_server):
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(500)
        slow.connect((wide_server.options.host, wide_server.rest_port))
        slow.sendall(rest_request(b'{"instances": [1]}'))
        received = len(slow.recv(100))  # the reply is complete, and the server sends it
        for _ in range(5):
            start = time.monotonic()
            assert medium_reply(wide_server) == [3.0] * 5000
            assert httpx.get(f"{wide_server.rest_url}/v1/models/wide", timeout=100).status_code == 200
            assert time.monotonic() - start < 30
            received += len(slow.recv(1000))
        while not (part := slow.recv(2**20)).endswith(b"]\n    ]\n}"):
            assert part
            received += len(part)
    assert received > 10 * COLUMNS


def grpc_predict(server, count):
    """A predict request of `count` values to the echo model over gRPC: the values, or the code and the message."""
    request = PREDICT.request(model_spec={"name": "echo"})
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add(size=count)
    request.inputs["x"].float_val.extend([1] * count)
    with grpc.insecure_channel(server.grpc_address) as channel:
        call = channel.unary_unary(PREDICT.path, PREDICT.request.SerializeToString, PREDICT.response.FromString)
        try:
            return list(call(request, timeout=60).outputs["y"].float_val)
        except grpc.RpcError as error:
            return error.code(), error.details()


@pytest.mark.parametrize("count", [500, 20_000])
def test_replies_are_limited_and_the_fix_in_the_message_works(echo_version, count):
    with LocalServer(model_dir=echo_version.parent, model_name="echo", max_reply_bytes=1000) as server:
        path = f"{server.rest_url}/v1/models/echo:predict"
        refused = httpx.post(path, json={"instances": [1] * count}, timeout=60)
        assert refused.status_code == 400
        message = refused.json()["error"]
        assert message.startswith("The reply must not be larger than 1000 bytes (`max_reply_bytes`). Received: ")
        assert "Send fewer or shorter rows per request" in message
        code, details = grpc_predict(server, count)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert details.startswith("The reply must not be larger than 1000 bytes")
        assert httpx.post(path, json={"instances": [1] * 50}, timeout=60).json() == {"predictions": [2.5] * 50}
        assert grpc_predict(server, 50) == [2.5] * 50


def test_waiting_requests_are_limited_by_their_bytes(echo_version):
    with LocalServer(model_dir=echo_version.parent, model_name="echo", max_waiting_bytes=1000) as server:
        path = f"{server.rest_url}/v1/models/echo:predict"
        body = b'{"instances": [1]' + b" " * 900
        # Alone, a request is never refused.
        assert httpx.post(path, json={"instances": [1] * 2000}, timeout=60).status_code == 200
        assert len(grpc_predict(server, 2000)) == 2000
        with socket.create_connection((server.options.host, server.rest_port), timeout=60) as connection:
            connection.sendall(rest_request(body + b"}").replace(b"/wide:", b"/echo:")[:-1])
            refused = wait_for_refusal(path)
            assert "must not have more than 1000 bytes in total (`max_waiting_bytes`)" in refused["error"]
            assert grpc_predict(server, 100)[0] is grpc.StatusCode.UNAVAILABLE
            assert httpx.get(f"{server.rest_url}/v1/models/echo", timeout=60).status_code == 200
            connection.sendall(b"}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert httpx.post(path, json={"instances": [1] * 100}, timeout=60).status_code == 200
        assert len(grpc_predict(server, 100)) == 100


def wait_for_refusal(path):
    """The first refusal of a small request: the large one needs a moment to arrive."""
    for _ in range(1000):
        reply = httpx.post(path, json={"instances": [1] * 100}, timeout=60)
        if reply.status_code == 503:
            return reply.json()
    raise AssertionError("No request was refused.")


def test_a_request_that_times_out_does_not_keep_its_version_loaded(echo_version, tmp_path):
    shutil.copytree(echo_version, tmp_path / "1")
    body = b'{"inputs": [' + b"1," * 500_000 + b"1]}"
    with LocalServer(model_dir=tmp_path, model_name="echo", rest_api_timeout_in_ms=1) as server:
        for _ in range(3):
            assert httpx.post(f"{server.rest_url}/v1/models/echo:predict", content=body, timeout=60).status_code == 504
        shutil.rmtree(tmp_path / "1")
        deadline = time.monotonic() + 25  # `shutdown_grace_seconds` would unload it after 30 seconds in any case
        state = None
        while state != "END" and time.monotonic() < deadline:
            server.refresh()
            status = httpx.get(f"{server.rest_url}/v1/models/echo", timeout=60).json()
            state = status["model_version_status"][0]["state"]
            time.sleep(0.05)
        assert state == "END"
