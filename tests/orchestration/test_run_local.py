"""Local runs: one-line errors, peak memory, outdated cache entries, Beam arguments, the summary and proxies."""

import concurrent.futures
import contextlib
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert_pipelines.local.failure_reasons import reason
from kerasbert_pipelines.local.outdated import is_outdated
from kerasbert_pipelines.local.peak_memory import PeakMemory
from kerasbert_pipelines.local.run_summary import ComponentSummary, RunSummary
from kerasbert_pipelines.local.surroundings import surroundings
from kerasbert_pipelines.settings import ComponentResources, PretrainSettings
from kerasbert_pipelines.vertex_and_kubeflow.resources import beam_args
from kerasbert_tfx.records.beam_errors import plain_beam_errors


def caught(*errors: Exception) -> Exception:
    """Returns the last of several errors, each raised from the previous one."""
    before: Exception | None = None
    for error in errors:
        error.__cause__, before = before, error
    return errors[-1]


def test_the_first_error_with_a_message_for_the_user_is_reported() -> None:
    error = caught(BadInputError("`x` must be small.\nReceived: 3."), RuntimeError("deep inside TFX"))
    assert reason(error) == "`x` must be small. Received: 3."
    missing = caught(FileNotFoundError(2, "No such file or directory", "/a/b"), ValueError("odd"))
    assert reason(missing) == "No such file or directory: /a/b. Free space, or check the path and its permissions."


def test_any_other_error_is_one_short_line_with_its_type_and_the_log() -> None:
    line = reason(KeyError("no\nsuch " + "x" * 1000), Path("runs/log.txt"))
    assert line.startswith("KeyError: ")
    assert "\n" not in line
    assert len(line) < 600
    assert line.endswith("See 'runs/log.txt'.")


@pytest.mark.parametrize(
    ("error", "path"),
    [
        (
            tf.errors.ResourceExhaustedError(None, None, "{{x}} /a b/saved.pb; No space left on device [Op:S]"),
            "/a b/saved.pb",
        ),
        (RuntimeError("Error when executing query: database or disk is full query: COMMIT;"), "the metadata"),
        (OSError(28, "No space left on device", "/a/b"), "/a/b"),
    ],
)
def test_a_full_disk_is_reported_from_any_library(error: Exception, path: str) -> None:
    assert reason(error).startswith(f"No space left on device: {path}. Free space")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("kerasbert.errors.BadInputError: Too few. [while running 'Pair']", BadInputError, "Too few."),
        ("OSError: Records cannot be written to 'x'. [while running 'Read-ptransform-9']", OSError, "Records cannot"),
        ("KeyError: 3 [while running 'Read']", RuntimeError, "KeyError: 3"),
    ],
)
def test_the_error_of_a_beam_worker_is_restored(text: str, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message) as error, plain_beam_errors():
        raise RuntimeError(f"Error received from SDK harness: Traceback\n  File ...\n{text}\n\n")
    if kind is not RuntimeError:
        assert "while running" not in str(error.value)


def test_peak_memory_includes_memory_that_was_freed() -> None:
    with PeakMemory() as before:
        pass
    with PeakMemory() as memory:
        block = np.ones(40_000_000)  # 320 MB
        time.sleep(0.2)
        del block
    assert memory.megabytes > before.megabytes + 250


def test_workers_are_local_processes_or_dataflow_machines() -> None:
    resources = {"PretrainingInstances": ComponentResources(workers=4)}
    here = PretrainSettings(resources=resources)
    assert beam_args(here, "StatisticsGen") == []
    assert beam_args(here, "PretrainingInstances") == [
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=4",
    ]
    there = PretrainSettings(resources=resources, beam_pipeline_args=("--runner=DataflowRunner", "--region=x"))
    assert beam_args(there, "PretrainingInstances")[2:] == ["--num_workers=4", "--max_num_workers=4"]
    flink = PretrainSettings(resources=resources, beam_pipeline_args=("--runner=FlinkRunner", "--parallelism=3"))
    assert beam_args(flink, "PretrainingInstances") == ["--runner=FlinkRunner", "--parallelism=3"]


def test_a_cached_evaluation_is_outdated_once_another_model_is_pushed(tmp_path: Path) -> None:
    pushed = tmp_path / "pushed"
    for folder in (tmp_path / "model" / "Format-Serving", pushed / "1"):
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text(folder.name)
    cached = {"state": "cached", "seconds": 0.0, "peak_megabytes": 0.0, "metrics": {}}
    trainer = ComponentSummary(name="Trainer", outputs={"model": str(tmp_path / "model")}, **cached)

    def outdated(name: str, **values: Any) -> bool:
        component = ComponentSummary(name=name, outputs={}, **cached, **values)
        return is_outdated(component, [trainer], str(pushed))

    assert outdated("Evaluator", blessed=True)
    assert not outdated("Evaluator", blessed=True, baseline=str(pushed / "1"))
    assert not outdated("InfraValidator", blessed=True)
    assert not outdated("Pusher", pushed_to=str(pushed / "1"))
    assert outdated("Pusher", pushed_to=str(pushed / "2"))
    (pushed / "1" / "saved_model.pb").write_text("Format-Serving")  # the evaluated model itself
    assert not outdated("Evaluator", blessed=True)


def test_the_summary_is_printed_as_a_table() -> None:
    component = {"seconds": 1.25, "peak_megabytes": 512.4, "metrics": {"loss": 2.5, "rows": 3.0}}
    summary = RunSummary(
        "name",
        "root",
        (
            ComponentSummary(name="Trainer", state="done", outputs={"model": "root/model"}, **component),
            ComponentSummary(name="Pusher", state="skipped", outputs={}, **{**component, "metrics": {}}),
        ),
    )
    assert summary.table().splitlines() == [
        "component  state     seconds  peak MB",
        "Trainer    done          1.2      512",
        "  loss: 2.5000",
        "  rows: 3",
        "  model in root/model",
        "Pusher     skipped       1.2      512",
        "total                    2.5",
        "Nothing was pushed.",
    ]
    assert summary.blessed is None
    assert summary.states == {"Trainer": "done", "Pusher": "skipped"}


# === Proxies ===


@pytest.mark.parametrize("given", [None, "intra.example, .corp.example"])
def test_requests_to_this_machine_bypass_the_proxy_during_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    # Nothing listens on port 9, so a request that goes through the proxy fails.
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    if given:
        monkeypatch.setenv("no_proxy", given)
    before = dict(os.environ)
    with greeting_server() as port, surroundings(tmp_path / "log.txt"):
        for host in ("localhost", "127.0.0.1"):
            assert requests.get(f"http://{host}:{port}", timeout=10).text == "hello"
        assert "TMPDIR" in os.environ
        hosts = os.environ["no_proxy"].split(",")
        assert hosts == [*((given or "").replace(" ", "").split(",") if given else []), "localhost", "127.0.0.1", "::1"]
        assert requests.utils.should_bypass_proxies("http://a.corp.example/", None) is bool(given)
    assert dict(os.environ) == before


@contextlib.contextmanager
def greeting_server() -> Iterator[int]:
    """A server that answers every request with one word."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_grpc_requests_to_this_machine_bypass_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Beam's runner communicates with its worker processes in this way.
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with surroundings(tmp_path / "log.txt"), grpc.insecure_channel(f"localhost:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
    finally:
        server.stop(None)
