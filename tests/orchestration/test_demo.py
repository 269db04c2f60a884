"""The whole demo with a few steps: both pipelines, the comparison, a real server, and the report."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_quick_demo_ends_with_equal_answers_and_a_report(tmp_path):
    command = [sys.executable, "-m", "kerasbert", "demo", "--quick", "--output", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("live ")]
    assert len(answers) == 4
    for _, live, _, rest, _, grpc in answers:
        assert float(rest) == pytest.approx(float(live), abs=1e-5)
        assert float(grpc) == pytest.approx(float(live), abs=1e-5)
    assert done.stdout.splitlines()[-1] == f"Report: {(tmp_path / 'demo' / 'report.html').resolve()}"
    page = (tmp_path / "demo" / "report.html").read_text()
    assert all(name in page for name in ("majority class", "TF-IDF", "BERT, not pretrained", "BERT, pretrained here"))
    # A second call takes both pipelines from the cache.
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-2000:]
    states = [line.split()[1] for line in again.stdout.splitlines() if line.startswith("  Trainer ")]
    assert states == ["cached", "cached"]
