"""The load test with a real server: both loops, both APIs, kinds of errors, the figure and the command."""

import asyncio
import json
import random
import subprocess
import sys

import httpx
import pytest

from kerasbert_serving.load_test import Load, Report, run_load
from kerasbert_serving.load_test.load import _open_loop
from kerasbert_serving.load_test.report import Sample, percentile

from ..faulty_servers import FaultyRest
from ..proxy_server import ProxyServer

SHORT = {"seconds": 0.5, "warm_up_seconds": 0.1, "signature_name": "text", "input_name": "x", "model_name": "echo"}


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("short\n\nä longer text\n" + "long " * 50 + "\n", encoding="utf-8")
    return path


def address(server, wire):
    return {"rest": server.rest_url} if wire == "rest" else {"grpc": server.grpc_address}


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_closed_loop(echo_server, texts, wire):
    report = run_load(Load(texts=texts, concurrency=4, batch_size=3, **address(echo_server, wire), **SHORT))
    metrics = report.to_dict()
    assert (metrics["loop"], metrics["errors"]) == ("closed", {})
    assert metrics["answered"] == metrics["requests"] >= 4  # at least one of each client
    assert metrics["texts_per_second"] == pytest.approx(3 * metrics["requests_per_second"], rel=0.01)
    latency = metrics["latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    # Each client has one request in flight at a time.
    assert sum(report.latencies()) <= 4 * report.seconds * 1.01
    assert 5 < metrics["mean_characters"] < 250


@pytest.mark.parametrize("wire", ["rest", "grpc"])
@pytest.mark.parametrize("arrivals", ["poisson", "even"])
def test_open_loop_keeps_its_rate(echo_server, texts, wire, arrivals):
    report = run_load(Load(texts=texts, rate=100, arrivals=arrivals, **address(echo_server, wire), **SHORT))
    metrics = report.to_dict()
    assert (metrics["loop"], metrics["errors"]) == ("open", {})
    assert 25 <= metrics["requests"] <= 80  # 50 are due
    if arrivals == "even":
        assert [sample.due for sample in sorted(report.samples, key=lambda s: s.due)][:3] == pytest.approx(
            [0.01, 0.02, 0.03]
        )


def test_a_stall_counts_for_every_request_that_waits_during_it():
    class Stalls:
        """Answers requests one after the other, each immediately, except that the tenth takes 0.4 seconds."""

        def __init__(self):
            self.count = 0
            self.busy = asyncio.Lock()

        async def send(self, request):
            async with self.busy:
                self.count += 1
                if self.count == 10:
                    await asyncio.sleep(0.4)

    load = Load(texts=["x"], rest="http://unused", rate=100, arrivals="even", seconds=1)

    async def main():
        return await _open_loop(load, Stalls(), iter(lambda: b"", None), load.seconds, random.Random(0))

    samples = asyncio.run(main())
    assert len(samples) == 99
    # 40 requests were due during the stall and waited 0.2 s on average. A closed loop would have sent only one.
    assert sum(sample.latency > 0.2 for sample in samples) >= 15
    assert max(sample.latency for sample in samples) >= 0.39


def test_requests_beyond_the_limit_are_not_sent():
    class Never:
        async def send(self, request):
            await asyncio.sleep(30)

    load = Load(
        texts=["x"], rest="http://unused", rate=1000, arrivals="even", seconds=0.05, timeout=0.2, max_in_flight=10
    )
    samples = asyncio.run(_open_loop(load, Never(), iter(lambda: b"", None), load.seconds, random.Random(0)))
    report = Report(load, samples, 0.3, 1)
    assert report.errors["timeout"] == 10
    assert report.errors["not sent"] == len(samples) - 10 > 20
    assert report.to_dict()["latency_ms"]["p99"] is None


def test_errors_are_counted_by_kind(echo_server):
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    real = (echo_server.options.host, echo_server.rest_port)
    with FaultyRest(real, [busy, "reset", busy]) as server:
        load = Load(texts=["x"], rest=server.url, **{**SHORT, "concurrency": 1, "warm_up_seconds": 0})
        report = run_load(load)
    assert report.errors == {"HTTP 503": 2, "ConnectionResetError": 1}
    assert report.answered == len(report.samples) - 3 > 0
    load = Load(texts=["x"], rest=echo_server.rest_url, **{**SHORT, "model_name": "nobody", "seconds": 0.1})
    assert set(run_load(load).errors) == {"HTTP 404"}
    load = Load(texts=["x"], grpc=echo_server.grpc_address, **{**SHORT, "model_name": "nobody", "seconds": 0.1})
    assert set(run_load(load).errors) == {"NOT_FOUND"}


def test_a_reply_in_chunks_and_one_without_length():
    from kerasbert_serving.load_test.senders import _read_reply

    async def read(data):
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await _read_reply(reader)

    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    assert asyncio.run(read(chunked)) == (200, True)
    assert asyncio.run(read(b"HTTP/1.1 500 No\r\n\r\nuntil the end")) == (500, False)
    assert asyncio.run(read(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na")) == (200, False)
    with pytest.raises(EOFError):
        asyncio.run(read(chunked[:-9]))


def test_percentiles_are_ranks():
    values = [float(value) for value in range(1, 1001)]
    assert [percentile(values, p) for p in (50, 99, 99.9, 100)] == [500, 990, 999, 1000]
    assert percentile([7.0], 99.9) == 7
    assert percentile([], 50) is None


def test_texts_are_drawn_by_seed(texts):
    from kerasbert_serving.load_test.load import _texts

    assert [len(text) for text in _texts(texts)] == [5, 13, 250]
    with pytest.raises(ValueError, match="must contain at least one text"):
        _texts(["", " "])


def test_a_line_ends_at_a_line_feed_only(tmp_path):
    from kerasbert_serving.load_test.load import _texts

    path = tmp_path / "#1 ü [a]*?%.txt"
    path.write_bytes("\ufeffone\u2028still one\r\ntwo\x0bstill two\n".encode())
    assert _texts(path) == ["one\u2028still one", "two\x0bstill two"]
    path.write_bytes("größe\n".encode("latin1"))
    with pytest.raises(ValueError, match=r"must be UTF-8.*byte 2 is not.*iconv"):
        _texts(path)


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_only_requests_to_other_machines_use_the_proxy(echo_server, monkeypatch, unused_port, wire):
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    load = {**SHORT, "seconds": 0.1, "warm_up_seconds": 0, "concurrency": 1}
    assert not run_load(Load(texts=["x"], **address(echo_server, wire), **load)).errors
    far = {"rest": "http://model.example:8501"} if wire == "rest" else {"grpc": "model.example:8500"}
    report = run_load(Load(texts=["x"], **far, **load))
    assert set(report.errors) == ({"ConnectionRefusedError"} if wire == "rest" else {"UNAVAILABLE"})
    assert f"through the proxy http://127.0.0.1:{unused_port}" in str(report)
    port = echo_server.rest_port if wire == "rest" else int(echo_server.grpc_address.rpartition(":")[2])
    with ProxyServer((echo_server.options.host, port)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{proxy.port}")
        report = run_load(Load(texts=["x"], **far, **load))
    assert (report.errors, report.answered > 0) == ({}, True)
    assert "proxy-authorization: basic bWU6c2VjcmV0".lower() in proxy.heads[0].lower()


def test_a_tunnel_that_the_proxy_refuses_is_an_error(echo_server, monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    with ProxyServer((echo_server.options.host, echo_server.rest_port), "403 Forbidden") as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        load = {**SHORT, "seconds": 0.1, "warm_up_seconds": 0, "concurrency": 1}
        report = run_load(Load(texts=["x"], rest="https://model.example", **load))
    assert set(report.errors) == {"ConnectionRefusedError"}
    assert proxy.requests[0] == "CONNECT model.example:443"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rest": "http://a", "grpc": "b"}, "Exactly one of `rest` and `grpc`"),
        ({"rest": "http://a", "concurrency": 0}, "`concurrency` must be positive"),
        ({"rest": "http://a", "rate": -1}, "`rate` must be positive"),
        ({"rest": "http://a", "arrivals": "never"}, "`arrivals` must be"),
    ],
)
def test_wrong_loads(options, message):
    with pytest.raises(ValueError, match=message):
        Load(texts=["a"], **options)


def test_the_figure_shows_answers_and_errors(tmp_path):
    pytest.importorskip("matplotlib")
    from kerasbert_serving.load_test.plot import save_plot

    load = Load(texts=["x"], rest="http://unused", rate=50)
    samples = [
        Sample(i / 50, i / 50, i / 50 + 0.01 + i % 7 / 100, "timeout" if i % 50 == 0 else None) for i in range(500)
    ]
    for name, chosen in (("all.png", samples), ("errors.svg", samples[::50]), ("none.png", [])):
        save_plot(Report(load, chosen, 10.0, 5.0), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_the_command(echo_server, texts, tmp_path):
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-m", "kerasbert_serving.load_test", str(texts), "--rest", echo_server.rest_url]
    command += ["--model", "echo", "--signature", "text", "--input", "x", "--rate", "50", "--seconds", "0.5"]
    files = ["--json", str(tmp_path / "load.json"), "--plot", str(tmp_path / "load.png")]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "requests answered in" in done.stdout
    assert "p99.9" in done.stdout
    metrics = json.loads((tmp_path / "load.json").read_text())
    assert metrics["load"]["rate"] == 50
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_reports_what_is_wrong(echo_server, texts, unused_port, capsys):
    from kerasbert_serving.load_test.__main__ import main

    assert main([str(texts.with_name("nothing.txt")), "--rest", echo_server.rest_url]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main([str(texts), "--rest", "localhost:8501"]) == 1
    assert "must begin with http://" in capsys.readouterr().err
    for option, value, message in (
        ("--plot", "load.jpeg", "ends in .png, .svg, .pdf"),
        ("--plot", "nowhere/load.png", "a folder that exists"),
        ("--json", "nowhere/load.json", "a folder that exists"),
        ("--json", str(texts.parent), "must name a file"),
    ):
        assert main([str(texts), "--rest", echo_server.rest_url, "--seconds", "9999", option, value]) == 1
        assert message in capsys.readouterr().err
    nobody = ["--rest", f"http://127.0.0.1:{unused_port}", "--seconds", "0.1", "--warm-up-seconds", "0"]
    assert main([str(texts), *nobody]) == 1
    assert "ConnectionRefusedError" in capsys.readouterr().out


def test_the_server_counts_answered_requests(echo_version):
    from kerasbert_serving.server import LocalServer

    with LocalServer(model_dir=echo_version.parent, model_name="echo") as server:
        report = run_load(Load(texts=["a"], rest=server.rest_url, **{**SHORT, "warm_up_seconds": 0}))
        page = httpx.get(f"{server.rest_url}/monitoring/prometheus/metrics").text
    line = ':tensorflow:serving:request_count{model_name="echo",status="OK"} '
    assert next(int(text.removeprefix(line)) for text in page.splitlines() if text.startswith(line)) == report.answered
