"""What the clients do when requests fail: retries, pauses, deadlines and errors, over real sockets."""

import asyncio
import json
import time

import grpc
import pytest

from kerasbert_serving.clients import (
    AccessDeniedError,
    AsyncGrpcClient,
    AsyncRestClient,
    DeadlineError,
    GrpcClient,
    InvalidRequestError,
    OverloadedError,
    RestClient,
    Retries,
    ServerError,
    ServingClientError,
    UnavailableError,
    UnexpectedReplyError,
)
from kerasbert_serving.clients.retries import Attempts, Deadline

from ..faulty_servers import FaultyGrpc, FaultyRest

QUICK = Retries(attempts=4, first_pause=0.01)
PREDICTION = {"x": [1.0, 2.0]}


def http_reply(status, body=b'{"error": "told to"}', *headers):
    """The bytes of a reply that closes its connection."""
    lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


BUSY = http_reply(503)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def ask(kind, address, **options):
    """The answer to a prediction, over any kind of client."""
    options = {"retries": QUICK, **options}
    if kind in (RestClient, GrpcClient):
        with kind(address, "echo", **options) as client:
            return client.predict(PREDICTION)["y"].tolist()

    async def main():
        async with kind(address, "echo", **options) as client:
            return (await client.predict(PREDICTION))["y"].tolist()

    return asyncio.run(main())


rest_kinds = pytest.mark.parametrize("kind", [RestClient, AsyncRestClient])
grpc_kinds = pytest.mark.parametrize("kind", [GrpcClient, AsyncGrpcClient])


@pytest.fixture
def rest(echo_server):
    """Creates a faulty REST server in front of the real one."""
    return lambda *faults: FaultyRest((echo_server.options.host, echo_server.rest_port), faults)


@pytest.fixture
def faulty_grpc(echo_server):
    """Creates a faulty gRPC server in front of the real one."""
    return lambda *faults: FaultyGrpc(echo_server.grpc_address, faults)


@rest_kinds
@pytest.mark.parametrize("faults", [[BUSY, BUSY], ["reset"], [BUSY, "reset", BUSY]])
def test_rest_sends_again_while_the_server_is_unavailable(rest, kind, faults):
    with rest(*faults) as server:
        assert ask(kind, server.url) == [2.5, 3.0]
        assert server.requests == len(faults) + 2  # plus one for the metadata


@grpc_kinds
def test_grpc_sends_again_while_the_server_is_unavailable(faulty_grpc, kind):
    with faulty_grpc(UNAVAILABLE, UNAVAILABLE) as server:
        assert ask(kind, server.address) == [2.5, 3.0]
        assert server.requests == 4


@rest_kinds
def test_the_number_of_attempts_is_limited_over_rest(rest, kind):
    with rest(*[BUSY] * 9) as server:
        with pytest.raises(UnavailableError, match="told to") as caught:
            ask(kind, server.url)
        assert (caught.value.http_status, caught.value.attempts, server.requests) == (503, 4, 4)
        assert "after 4 attempts" in str(caught.value)


@grpc_kinds
def test_the_number_of_attempts_is_limited_over_grpc(faulty_grpc, kind):
    with faulty_grpc(*[UNAVAILABLE] * 20) as server:
        with pytest.raises(UnavailableError, match="told to") as caught:
            ask(kind, server.address)
        assert caught.value.attempts == 4
        # They request the metadata first, because Python numbers have no dtype.
        assert server.requests == 4


@rest_kinds
@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, InvalidRequestError, "INVALID_ARGUMENT"),
        (401, AccessDeniedError, "UNAUTHENTICATED"),
        (403, AccessDeniedError, "PERMISSION_DENIED"),
        (408, DeadlineError, "DEADLINE_EXCEEDED"),
        (413, InvalidRequestError, "INVALID_ARGUMENT"),
        (418, InvalidRequestError, "INVALID_ARGUMENT"),
        (429, OverloadedError, "RESOURCE_EXHAUSTED"),
        (500, ServerError, "INTERNAL"),
        (501, ServerError, "UNIMPLEMENTED"),
        (502, ServerError, "UNKNOWN"),
        (504, DeadlineError, "DEADLINE_EXCEEDED"),
    ],
)
def test_requests_are_not_sent_again_after_other_replies(rest, kind, status, error, code):
    with rest(http_reply(status)) as server:
        with pytest.raises(error, match="told to") as caught:
            ask(kind, server.url)
        assert type(caught.value) is error
        assert (caught.value.code, caught.value.http_status) == (code, status)
        assert server.requests == 1


@grpc_kinds
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("INVALID_ARGUMENT", InvalidRequestError),
        ("FAILED_PRECONDITION", InvalidRequestError),
        ("RESOURCE_EXHAUSTED", OverloadedError),
        ("UNAUTHENTICATED", AccessDeniedError),
        ("DEADLINE_EXCEEDED", DeadlineError),
        ("ABORTED", ServerError),
        ("INTERNAL", ServerError),
    ],
)
def test_requests_are_not_sent_again_after_other_codes(faulty_grpc, kind, code, error):
    with faulty_grpc(grpc.StatusCode[code]) as server:
        with pytest.raises(error, match="told to") as caught:
            ask(kind, server.address)
        assert (caught.value.code, caught.value.http_status) == (code, None)
        assert server.requests == 1


@rest_kinds
@pytest.mark.parametrize("fault", ["stall", "trickle"])
def test_rest_keeps_its_deadline(rest, kind, fault):
    with rest(*[fault] * 9) as server:
        begin = time.monotonic()
        with pytest.raises(DeadlineError, match=r"No answer within 0\.8 seconds"):
            ask(kind, server.url, timeout=0.8)
        assert time.monotonic() - begin < 5
    assert server.requests == 1


@grpc_kinds
def test_grpc_keeps_its_deadline(faulty_grpc, kind):
    with faulty_grpc("stall") as server, pytest.raises(DeadlineError, match=r"No answer within 0\.8 seconds"):
        ask(kind, server.address, timeout=0.8)
    assert server.requests == 1


@rest_kinds
def test_retries_stay_within_the_deadline(rest, kind):
    with rest(*[BUSY] * 99) as server:
        begin = time.monotonic()
        with pytest.raises(ServingClientError) as caught:
            ask(kind, server.url, timeout=1, retries=Retries(attempts=1000, first_pause=0.1, longest_pause=0.1))
        assert time.monotonic() - begin < 5
        assert type(caught.value) in (UnavailableError, DeadlineError)
    assert server.requests > 2


@rest_kinds
def test_retry_after_is_respected(rest, kind):
    with rest(http_reply(503, b"{}", "Retry-After: 60")) as server:
        begin = time.monotonic()
        with pytest.raises(UnavailableError):
            ask(kind, server.url, timeout=20)
        assert time.monotonic() - begin < 10  # a pause of a minute does not fit the deadline
    with rest(http_reply(503, b"{}", "Retry-After: 1")) as server:
        begin = time.monotonic()
        assert ask(kind, server.url, timeout=60) == [2.5, 3.0]
        assert time.monotonic() - begin >= 1


@rest_kinds
@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[]", b'{"predictions": [1]}', b'{"outputs": {"b": []}}', b"\xff"]
)
def test_a_reply_of_another_server_is_reported(rest, kind, body):
    with rest(http_reply(200, body)) as server, pytest.raises(UnexpectedReplyError, match=r"TF Serving.s REST API"):
        ask(kind, server.url)


@rest_kinds
def test_an_error_page_that_is_not_json_is_shown(rest, kind):
    with rest(http_reply(404, b"<h1>no such host</h1>")) as server, pytest.raises(ServingClientError, match="<h1>no"):
        ask(kind, server.url)


def test_a_signature_that_changed_is_looked_up_again(rest):
    def outputs(value):
        return http_reply(200, json.dumps({"outputs": value}).encode())

    def metadata(*names):
        info = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}
        signature = {"inputs": {}, "outputs": dict.fromkeys(names, info), "method_name": ""}
        return http_reply(
            200,
            json.dumps(
                {
                    "model_spec": {"name": "echo", "version": "1"},
                    "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
                }
            ).encode(),
        )

    faults = [outputs([1.5]), metadata("y"), outputs([2.5]), outputs({"a": [1], "b": [2]}), metadata("a", "b")]
    with rest(*faults) as server, RestClient(server.url, "echo") as client:
        assert client.predict(PREDICTION)["y"].tolist() == [1.5]
        assert client.predict(PREDICTION)["y"].tolist() == [2.5]
        assert {name: value.tolist() for name, value in client.predict(PREDICTION).items()} == {"a": [1.0], "b": [2.0]}
        assert server.requests == 5


def test_connections_are_reused(echo_server, monkeypatch):
    opened = []
    connect = __import__("socket").create_connection
    monkeypatch.setattr("socket.create_connection", lambda *args, **kw: opened.append(args) or connect(*args, **kw))
    with RestClient(echo_server.rest_url, "echo") as client:
        for _ in range(5):
            client.predict(PREDICTION)
    assert len(opened) == 1


@grpc_kinds
def test_metadata_is_sent_with_each_call(faulty_grpc, kind):
    with faulty_grpc() as server:
        ask(kind, server.address, metadata={"Authorization": "Bearer x"})
        assert [metadata["authorization"] for metadata in server.metadata] == ["Bearer x"] * 2


def test_tensors_of_half_precision_and_of_every_other_dtype():
    import numpy as np

    from kerasbert_serving import protos
    from kerasbert_serving.clients.tensor_messages import fill, to_array

    message = protos.TensorProto(dtype=14, half_val=[0x3F80, 0xC000])
    message.tensor_shape.dim.add(size=3)
    assert to_array(message).tolist() == [1.0, -2.0, -2.0]  # the last value is repeated
    for name in (
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "bool",
    ):
        array = np.array([[0, 1], [1, 0]]).astype(name)
        message = protos.TensorProto()
        fill(message, array)
        back = to_array(message)
        assert (back.dtype, back.tolist()) == (array.dtype, array.tolist())


def test_pauses_grow_and_are_random():
    error = UnavailableError("busy", "UNAVAILABLE")
    retries = Retries(attempts=8, first_pause=0.1, longest_pause=1.0, seed=3)

    def pauses(retries):
        attempts = Attempts(retries, Deadline(1000))
        return [attempts.pause_after(error) for _ in range(retries.attempts - 1)]

    drawn = pauses(retries)
    assert all(pause <= min(1.0, 0.1 * 2**number) for number, pause in enumerate(drawn))
    assert len(set(drawn)) == len(drawn)
    assert pauses(retries) == drawn
    assert pauses(Retries(attempts=8)) != pauses(Retries(attempts=8))
    with pytest.raises(ValueError, match="`attempts` must be 1 or more"):
        Retries(attempts=0)
    with pytest.raises(ValueError, match="`timeout` must be a positive number"):
        Deadline(0)
