"""The metrics page: TensorFlow Serving's path, names, labels and buckets."""

import httpx
import pytest

from kerasbert_serving.server import LocalServer
from kerasbert_serving.server.metrics import MAX_CELLS, Metrics

PATH = "/monitoring/prometheus/metrics"


def test_requests_are_counted_and_timed(rest):
    def count(status):
        lines = rest.get(PATH).text.splitlines()
        start = f':tensorflow:serving:request_count{{model_name="echo",status="{status}"}} '
        return sum(int(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = count("OK"), count("INVALID_ARGUMENT")
    assert rest.post("/v1/models/echo:predict", content=b'{"instances": [1]}').status_code == 200
    assert rest.post("/v1/models/echo:predict", content=b"{}").status_code == 400
    assert (count("OK"), count("INVALID_ARGUMENT")) == (before[0] + 1, before[1] + 1)
    page = rest.get(PATH)
    assert page.headers["content-type"].startswith("text/plain")
    labels = 'model_name="echo",API="predict",entrypoint="REST"'
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="10"}} ' in page.text
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="32.4"}} ' in page.text
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="+Inf"}} ' in page.text
    assert ":tensorflow:serving:runtime_latency_sum{" in page.text
    assert "# TYPE :tensorflow:serving:request_count counter" in page.text


def test_the_page_is_valid_prometheus_text(rest):
    from prometheus_client.parser import text_string_to_metric_families

    rest.post("/v1/models/echo:predict", content=b'{"instances": [1]}')
    families = {family.name: family for family in text_string_to_metric_families(rest.get(PATH).text)}
    assert families[":tensorflow:serving:request_latency"].type == "histogram"
    assert any(":tensorflow:serving:request_count" in name for name in families)


def test_buckets_are_cumulative_and_a_limit_belongs_to_the_bucket_above():
    metrics = Metrics()
    for count in (1, 1.5, 2, 1e9):
        metrics.examples("m", count)
    lines = dict(line.rsplit(" ", 1) for line in metrics.page().splitlines() if "request_example_counts_" in line)
    name = ":tensorflow:serving:request_example_counts"
    assert [lines[f'{name}_bucket{{model="m",le="{limit}"}}'] for limit in ("1", "2", "4", "16384", "+Inf")] == [
        "0",
        "2",
        "3",
        "3",
        "4",
    ]
    assert lines[f'{name}_count{{model="m"}}'] == "4"


def test_labels_are_escaped_and_their_number_is_bounded():
    metrics = Metrics()
    metrics.request('a"\\\n', "OK")
    assert 'model_name="a\\"\\\\\\n"' in metrics.page()
    for number in range(2 * MAX_CELLS):
        metrics.request(f"model {number}", "NOT_FOUND")
    assert len(metrics.page().splitlines()) < MAX_CELLS + 50


def test_an_invalid_name_does_not_break_the_page(rest):
    assert rest.post("/v1/models/%ff%fe:predict", content=b'{"instances": [1]}').status_code == 404
    page = rest.get(PATH)
    assert page.status_code == 200
    assert 'model_name="??",status="NOT_FOUND"' in page.text


@pytest.mark.parametrize(("path", "other"), [("/metrics", PATH), (None, PATH)])
def test_the_path_can_be_changed_and_disabled(echo_version, path, other):
    with LocalServer(model_dir=echo_version.parent, prometheus_path=path) as server:
        assert httpx.get(server.rest_url + other).status_code == 404
        if path:
            assert httpx.get(server.rest_url + path).status_code == 200
