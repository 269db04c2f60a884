"""Difficult clients: many at once, incomplete and endless requests, gzip bombs, deep JSON, and a signal under load."""

import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import threading
import time
import zlib

import httpx
import pytest

from kerasbert_serving.server import LocalServer

from .server_processes import served

PREDICT = "/v1/models/echo:predict"
LIMIT = 2**20


@pytest.fixture(scope="module")
def small_server(echo_version):
    """A server with small limits for the size and the pauses of bodies."""
    options = {"max_body_bytes": LIMIT, "body_idle_timeout_seconds": 0.3, "rest_api_timeout_in_ms": 20_000}
    with LocalServer(model_dir=echo_version.parent, model_name="echo", **options) as server:
        yield server


@pytest.fixture(scope="module")
def client(small_server):
    with httpx.Client(base_url=small_server.rest_url, timeout=60) as client:
        yield client


def connect(server):
    return socket.create_connection((server.options.host, server.rest_port), timeout=30)


def head(length=None, *headers):
    lines = [f"POST {PREDICT} HTTP/1.1", "Host: x", *headers]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply_of(connection):
    """Reads a reply from a raw connection. Returns the status and the JSON body."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        part = connection.recv(65536)
        if not part:
            break
        data += part
    header, _, body = data.partition(b"\r\n\r\n")
    return int(header.split()[1]), json.loads(body)


def still_answers(client):
    return client.post(PREDICT, content=b'{"instances": [1]}').json() == {"predictions": [2.5]}


def post(connection, values):
    """Sends a predict request with `http.client`, which uses little processor time. Returns status and body."""
    connection.request("POST", PREDICT, json.dumps({"instances": values}))
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


def crowd(port, clients, go_on):
    """Lets many clients send requests while `go_on` allows it. Returns wrong replies and the number of replies."""
    answered, wrong = [0] * clients, []

    def ask(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while go_on(answered[number]):
            values = [number, answered[number] % 1000]
            reply = post(connection, values)
            if reply != (200, {"predictions": [value / 2 + 2 for value in values]}):
                wrong.append(reply)
            answered[number] += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong, sum(answered)


def test_64_clients_at_once(small_server):
    assert crowd(small_server.rest_port, 64, lambda requests: requests < 20) == ([], 64 * 20)


@pytest.mark.slow
def test_64_clients_for_a_minute_and_memory_stays_flat(echo_version):
    def during(seconds):
        end = time.monotonic() + seconds
        return lambda requests: time.monotonic() < end

    with served(echo_version.parent, "--model-name", "echo") as (process, url):
        port = httpx.URL(url).port
        assert crowd(port, 64, during(15))[0] == []
        before = resident_bytes(process.pid)
        wrong, answered = crowd(port, 64, during(60))
        assert wrong == []
        assert answered > 1000
        assert resident_bytes(process.pid) < before + 50 * 2**20


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_client_that_closes_its_connection_early(small_server, client):
    for part in (b"", head(1000)[:20], head(1000), head(1000) + b'{"inst', head() + b"5\r\nabc"):
        with connect(small_server) as connection:
            connection.sendall(part)
    for _ in range(20):
        with connect(small_server) as connection:
            connection.sendall(head(18) + b'{"instances": [1]}')
    assert still_answers(client)


def test_a_body_that_stalls_is_refused(small_server, client):
    with connect(small_server) as connection:
        connection.sendall(head(1000) + b'{"instances"')
        status, body = reply_of(connection)
    assert status == 408
    assert "must arrive without long pauses" in body["error"]
    assert still_answers(client)


def test_an_endless_body_is_refused_at_the_limit(small_server, client):
    chunk = b"10000\r\n" + b"1" * 65536 + b"\r\n"
    with connect(small_server) as connection:
        connection.sendall(head())
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        status, body = reply_of(connection)
    assert status == 413
    assert f"must not be larger than {LIMIT} bytes" in body["error"]
    assert still_answers(client)


@pytest.mark.parametrize(("start", "more"), [("/", "x"), ("/ HTTP/1.1\r\nx: ", "y"), ("/ HTTP/1.1\r\n", "x: y\r\n")])
def test_an_endless_head_is_refused(small_server, client, start, more):
    with connect(small_server) as connection:
        connection.sendall(f"POST {start}".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(more.encode() * (65536 // len(more)))
            pytest.fail("it was taken")
        with contextlib.suppress(ConnectionError):
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 Bad Request")
    assert still_answers(client)


def test_a_body_beyond_the_limit_is_refused(small_server, client):
    reply = client.post(PREDICT, content=b" " * 100_000_000)
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"
    with connect(small_server) as connection:
        connection.sendall(head(10**12, "Expect: 100-continue"))
        assert reply_of(connection)[0] == 413
    assert still_answers(client)


def test_gzip(client):
    packed = gzip.compress(b'{"instances": [1]}')
    headers = {"content-encoding": "gzip"}
    assert client.post(PREDICT, content=packed, headers=headers).json() == {"predictions": [2.5]}
    two = gzip.compress(b'{"instances": ') + gzip.compress(b"[1]}")
    assert client.post(PREDICT, content=two, headers=headers).json() == {"predictions": [2.5]}
    for broken in (b"not gzip", packed[:-9]):
        reply = client.post(PREDICT, content=broken, headers=headers)
        assert (reply.status_code, reply.json()) == (400, {"error": "JSON Parse error: The document is empty"})


def test_a_gzip_bomb_is_refused_before_it_takes_memory(client):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(b" " * 2**20) for _ in range(500)] + [packer.flush()])
    assert len(bomb) < LIMIT
    reply = client.post(PREDICT, content=bomb, headers={"content-encoding": "gzip"})
    assert reply.status_code == 413
    assert still_answers(client)


@pytest.mark.parametrize("key", ["instances", "inputs", "other"])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_100000_levels_deep(client, key, opening, closing):
    body = b'{"%s": %s1%s}' % (key.encode(), opening * 100_000, closing * 100_000)
    for content in (body, body[:-150_000]):
        reply = client.post(PREDICT, content=content)
        assert reply.status_code == 400
        assert reply.json()["error"]
    assert still_answers(client)


@pytest.mark.parametrize("values", ["[" + "1," * 200_000 + "1]", '["' + "x" * 500_000 + '"]'])
def test_long_bodies_are_read_off_the_event_loop(client, values):
    name = "text" if '"' in values else "serving_default"
    reply = client.post(PREDICT, content=f'{{"signature_name": "{name}", "instances": {values}}}')
    assert reply.status_code == 200
    assert len(reply.json()["predictions"]) in (1, 200_001)


def test_a_request_that_takes_too_long_gets_504(echo_version):
    with LocalServer(model_dir=echo_version.parent, model_name="echo", rest_api_timeout_in_ms=1) as server:
        body = b'{"inputs": [' + b"1," * 100_000 + b"1]}"
        reply = httpx.post(server.rest_url + PREDICT, content=body, timeout=60)
    assert (reply.status_code, reply.json()) == (504, {"error": "Timed out waiting for notification"})


def test_sigterm_under_load_loses_no_answer(echo_version):
    with served(echo_version.parent, "--model-name", "echo") as (process, url):
        port = httpx.URL(url).port
        started = threading.Semaphore(0)
        answered, broken, refused = [], [], []
        told = threading.Event()

        def ask():
            while True:
                # Each request has its own connection, because the server may close an old one just when a request is
                # sent.
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    connection.connect()
                except OSError:
                    return  # the server no longer listens
                try:
                    answered.append(post(connection, [1] * 100)[0])
                except ConnectionResetError:
                    # The kernel had opened the connection, but the server closed before it accepted it. No request was
                    # lost.
                    refused.append(told.is_set())
                    return
                except (OSError, http.client.HTTPException) as error:
                    broken.append(repr(error))
                    return
                finally:
                    connection.close()
                    started.release()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(40):
            started.acquire()
        told.set()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        for thread in threads:
            thread.join()
    assert set(answered) == {200}
    assert broken == []
    assert all(refused)
