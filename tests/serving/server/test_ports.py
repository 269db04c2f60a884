"""The ports: taken before the models are loaded, and one clear line if they cannot be."""

import socket

import httpx
import pytest

from kerasbert_serving.server import LocalServer, PortError
from kerasbert_serving.server.models.model_store import ModelStore


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("option", ["rest_port", "grpc_port"])
def test_a_taken_port_is_reported_before_the_models_are_loaded(echo_version, taken_port, option, monkeypatch):
    loaded = []
    monkeypatch.setattr(ModelStore, "start", lambda self, configs: loaded.append(configs))
    with pytest.raises(PortError) as caught, LocalServer(model_dir=echo_version.parent, **{option: taken_port}):
        pass
    message = f"Received: 127.0.0.1:{taken_port} (Address already in use)"
    assert str(caught.value).startswith(f"`{option}` must be a port on which the server can listen. {message}")
    assert loaded == []


def test_the_fix_in_the_message_works(echo_version, taken_port):
    with pytest.raises(PortError, match="`grpc_port=0` takes a free one"):
        LocalServer(model_dir=echo_version.parent, grpc_port=taken_port).__enter__()
    with LocalServer(model_dir=echo_version.parent, grpc_port=0) as server:
        assert server.grpc_port not in (0, taken_port)


@pytest.mark.parametrize("option", ["rest_port", "grpc_port"])
def test_the_command_ends_with_one_line_and_status_1(echo_version, taken_port, option, capfd):
    from kerasbert.cli import main

    other = {"rest_port": ["--grpc-port", "0", "--port"], "grpc_port": ["--port", "0", "--grpc-port"]}[option]
    with pytest.raises(SystemExit) as caught:
        main(["serve", str(echo_version.parent), *other, str(taken_port)])
    assert caught.value.code == 1
    error = capfd.readouterr().err.strip()
    assert f"127.0.0.1:{taken_port} (Address already in use)" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_a_host_on_which_one_cannot_listen(echo_version, host):
    with pytest.raises(PortError, match=f"Received: {host}:0 "):
        LocalServer(model_dir=echo_version.parent, host=host).__enter__()


def test_a_port_is_free_again_after_a_failed_start(echo_version, unused_port, tmp_path):
    from kerasbert_serving.server import ServingError

    with pytest.raises(ServingError):
        LocalServer(model_dir=tmp_path, rest_port=0, grpc_port=unused_port).__enter__()
    with LocalServer(model_dir=echo_version.parent, rest_port=0, grpc_port=unused_port) as server:
        assert server.grpc_port == unused_port


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_host_names_and_ipv6(echo_version, host):
    import grpc

    from kerasbert_serving import protos

    if host == "::1" and not has_ipv6():
        pytest.skip("This machine has no IPv6.")
    method = protos.METHODS[protos.MODEL_SERVICE]["GetModelStatus"]
    with (
        LocalServer(model_dir=echo_version.parent, model_name="echo", host=host) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        assert httpx.get(f"{server.rest_url}/v1/models/echo", timeout=30).status_code == 200
        call = channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
        status = call(method.request(model_spec={"name": "echo"}), timeout=30)
        assert status.model_version_status[0].version == 1


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
