"""SIGKILL at a random step: the continued run has the bits and the history of an uninterrupted one."""

import os
import random
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "killed_run.py"

pytestmark = [pytest.mark.backend]


@pytest.fixture(scope="module")
def program():
    return runpy.run_path(str(PROGRAM))


@pytest.fixture(scope="module")
def whole(program, tmp_path_factory):
    """The uninterrupted run."""
    return program["train"](tmp_path_factory.mktemp("whole"))


def kill_at(step, run_dir, checkpoint_every):
    """Run the program until it has done `step` steps, and kill it."""
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(run_dir), str(checkpoint_every)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if int(line) >= step:
                os.kill(process.pid, signal.SIGKILL)
                break
    finally:
        process.kill()
        process.stdout.close()
    assert process.wait() == -signal.SIGKILL


def without_timing(rows):
    return [{name: value for name, value in row.items() if name != "tokens_per_second"} for row in rows]


def assert_same_end(program, whole, run_dir, stand_in, checkpoint_every):
    model, history = program["train"](run_dir, checkpoint_every)
    expected_model, expected = whole
    stand_in.assert_same_bits(model, expected_model)
    assert without_timing(history.rows) == without_timing(expected.rows)
    assert history.best == expected.best


def test_a_killed_run_ends_with_the_same_weights(program, whole, tmp_path, stand_in):
    step = random.randint(1, 29)
    kill_at(step, tmp_path, checkpoint_every=3)
    assert_same_end(program, whole, tmp_path, stand_in, checkpoint_every=3)


@pytest.mark.slow
def test_a_run_killed_again_and_again_while_it_writes_ends_with_the_same_weights(program, whole, tmp_path, stand_in):
    for _ in range(4):
        kill_at(random.randint(3, 7), tmp_path, checkpoint_every=1)
        assert 1 <= len(list((tmp_path / "checkpoints").glob("step-*.npz"))) <= 3
    assert_same_end(program, whole, tmp_path, stand_in, checkpoint_every=1)
