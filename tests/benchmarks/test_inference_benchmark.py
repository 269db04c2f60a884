"""The comparison with other libraries runs, refuses wrong answers, and its page follows from its numbers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.inference import cases, comparison, environments, ratios, rendering, work
from benchmarks.inference.contestants import CONTESTANTS, FILES

ROOT = Path(__file__).parents[2]


def measured(tmp_path, *options):
    """Run the benchmark and return its result."""
    output = tmp_path / "inference.json"
    command = [sys.executable, "-m", "benchmarks.inference", "--output", str(output), "--rounds", "2", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text(encoding="utf-8"))


def test_the_limit_is_measured(tmp_path):
    result = measured(tmp_path, "--cases", "limit_1024", "--peers", "none", "--only", "product float32")
    [row] = result["cases"][0]["rows"].values()
    assert len(row["wall_s"]) == 2
    assert row["best_s"] <= row["median_s"]
    limits = ratios.peaks(result["cases"])
    assert limits["float32"] == pytest.approx(2 * 1024**3 / row["best_s"])
    assert result["machine"]["cores"]


@pytest.mark.slow
def test_strings_are_encoded_with_the_same_answers(tmp_path):
    peers = [name for name in ("onnxruntime", "pytorch") if (environments.FOLDER / name / ".installed").exists()]
    options = ("--texts", "16", "--min-seconds", "0.01")
    result = measured(tmp_path, "--cases", "texts_32,ids_1x128", "--peers", ",".join(peers) or "none", *options)
    for case in result["cases"]:
        ours = case["rows"]["kerasbert float32"]
        assert "why_not" not in ours
        assert len(ours["wall_s"]) == 2
        assert ours["difference"] <= comparison.VECTOR_TOLERANCES["float32"]
        assert case["reference"] == ("transformers float32" if "pytorch" in peers else case["reference"])


def test_rows_with_other_answers_are_refused():
    vectors = np.eye(3, 4, dtype=np.float32)
    assert comparison.difference(vectors, vectors) == 0
    assert comparison.difference(vectors[::-1], vectors) == pytest.approx(2**0.5)
    assert comparison.difference(vectors[:2], vectors) == float("inf")
    assert not comparison.difference(vectors * np.nan, vectors) <= comparison.tolerance(vectors, "int8")
    assert comparison.difference([[1], [2]], [[1], [3]]) == 0.5
    assert comparison.difference({"accuracy": 0.5}, {"accuracy": 0.75}) == 0.25


def test_operations_are_those_of_the_matrix_products(tmp_path):
    config = {"hidden_size": 8, "num_hidden_layers": 2, "intermediate_size": 32}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    projections, feed_forward, attention = 4 * 8 * 8, 2 * 8 * 32, 2 * 5 * 8
    assert work.operations(tmp_path, [5]) == 2 * 2 * 5 * (projections + feed_forward + attention)
    assert work.operations(tmp_path, [5, 5]) == 2 * work.operations(tmp_path, [5])


def row(seconds, ours, precision="float32"):
    times = {"median_s": seconds, "best_s": seconds, "cpu_median_s": seconds, "difference": 0.0}
    return {**times, "ours": ours, "precision": precision}


def test_the_page_is_filled_in(tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{rendering.BEGIN}\nold\n{rendering.END}\nafter\n", encoding="utf-8")
    case = {"name": "texts_8", "title": "Strings", "group": "core", "kind": "texts", "rows_of_job": 8, "tokens": 90}
    rows = {"ours": row(0.5, True), "peer": row(1.0, False), "int8 peer": row(0.25, False, "int8")}
    rows["lame"] = {"ours": False, "precision": "float32", "why_not": "it does not start"}
    case |= {"longest": 20, "operations": 5e9, "reference": "peer", "rows": rows}
    limit = {"kind": "matmul", "operations": 2e9, "rows": {"product": row(0.1, False)}}
    machine = {"commit": "abc", "processor": "a processor", "cores": 2, "memory_gb": 8, "instructions": ["avx2"]}
    result = {"date": "2026-11-30T12:00", "machine": machine, "options": {"rounds": 5}, "cases": [limit, case]}
    rendering.render(result, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| Strings | 500 ms | peer: 1 s | 2.00 | ours: 500 ms | int8 peer: 250 ms | 0.50 |" in text
    assert "| **ours** | 500 ms | 500 ms | 500 ms | 16 | 2.00 | 50% | 0e+00 |" in text
    assert "* lame: it does not start" in text
    assert (tmp_path / rendering.PLOT).stat().st_size > 1000


def test_the_tables_name_what_exists():
    workers = environments.ROOT / "benchmarks/inference/workers"
    for contestant in CONTESTANTS:
        assert (workers / f"{contestant.worker}.py").is_file()
        assert contestant.files is None or contestant.files in FILES
    peers = {each.environment for each in CONTESTANTS if not each.is_ours}
    for name in (*peers, "infinity"):
        assert (environments.ROOT / f"requirements/bench/{name}.txt").is_file()
    assert len({each.name for each in CONTESTANTS}) == len(CONTESTANTS)
    assert [case.name for case in cases.chosen(cases.all_cases(8, 8), "ids_8x512,limit")] == [
        "limit_1024",
        "limit_2048",
        "ids_8x512",
    ]
    with pytest.raises(ValueError, match="Received: ids_9"):
        cases.chosen(cases.all_cases(8, 8), "ids_9")
