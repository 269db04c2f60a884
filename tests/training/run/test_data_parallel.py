"""Two processes on this machine train exactly as one process does on the same batches."""

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kerasbert.data import segment_pairs, write_pairs
from kerasbert.errors import BadInputError
from kerasbert.training.run.data_parallel import join_processes, own_rows

WORDS = [f"w{number}" for number in range(40)]


def begin(records: Path, run_dir: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("together.py")), str(records), str(run_dir)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def losses(process: subprocess.Popen[str]) -> list[float]:
    out, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-2000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    rng = random.Random(1)
    documents = [[rng.choices(range(5, 45), k=6) for _ in range(8)] for _ in range(30)]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
    write_pairs(segment_pairs(documents, list, max_tokens=29, seed=1, dupe_factor=2), tmp_path / "pairs")
    alone = losses(begin(tmp_path, tmp_path / "alone"))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    shared = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    processes = [
        begin(tmp_path, tmp_path / "together", **shared, KERAS_DISTRIBUTION_PROCESS_ID=str(number))
        for number in range(2)
    ]
    first, second = [losses(process) for process in processes]
    assert first == second
    assert len(first) == len(alone) == 6
    assert first == pytest.approx(alone, rel=1e-5)
    assert alone[-1] < alone[0]


def test_a_process_alone_keeps_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_DISTRIBUTION_NUM_PROCESSES", raising=False)
    assert join_processes() == 0
    batch = ({"token_ids": [1, 2]}, [3, 4])
    assert own_rows(batch) is batch


def test_only_jax_joins_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setattr("keras.backend.backend", lambda: "tensorflow")
    with pytest.raises(BadInputError, match="KERAS_BACKEND=jax"):
        join_processes()
