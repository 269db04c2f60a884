import contextlib
import os
import resource
import shutil

import numpy as np
import pytest

from kerasbert.errors import BadInputError
from kerasbert.training import fit
from kerasbert.training.run.training_state import TrainingState, load_newest_state, save_state

pytestmark = pytest.mark.backend


def state(step, size=1000):
    values = np.random.default_rng(step).normal(size=size).astype("float32")
    return TrainingState({"step": step}, {"model": [("layer/kernel", values)], "optimizer": []})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_state_is_restored_bit_by_bit_with_scalars_and_half_floats(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="comes with TensorFlow and JAX")
    arrays = [
        ("table", np.array([[1.1, -0.0], [np.inf, 3e-42]], "float32")),
        ("iterations", np.array(2**40, "int64")),
        ("seed", np.array([7, 2**32 - 1], "uint32")),
        ("half", np.arange(4).astype("float16")),
        ("brain", np.arange(4).astype(ml_dtypes.bfloat16)),
    ]
    save_state(tmp_path, 3, TrainingState({"step": 3, "name": "ü"}, {"model": arrays}))
    again = load_newest_state(tmp_path)
    assert again.about == {"step": 3, "name": "ü"}
    for (path, array), (path_again, array_again) in zip(arrays, again.arrays["model"], strict=True):
        assert (path, array.dtype, array.shape) == (path_again, array_again.dtype, array_again.shape)
        assert array.tobytes() == array_again.tobytes()


def test_the_last_two_states_are_kept(tmp_path):
    for step in (1, 20, 300):
        save_state(tmp_path, step, state(step))
    assert names(tmp_path) == ["step-000000020.npz", "step-000000300.npz"]
    assert load_newest_state(tmp_path).about == {"step": 300}


def damaged(content, how):
    if how == "a flipped bit":
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    return content[: int(len(content) * how)]


@pytest.mark.parametrize("how", [0, 0.3, 0.9, 0.999, "a flipped bit"])
def test_a_damaged_state_is_skipped_with_a_warning(tmp_path, caplog, how):
    save_state(tmp_path, 1, state(1))
    newest = save_state(tmp_path, 2, state(2))
    newest.write_bytes(damaged(newest.read_bytes(), how))
    assert load_newest_state(tmp_path).about == {"step": 1}
    assert "step-000000002.npz is damaged" in caplog.text


def test_if_all_states_are_damaged_all_are_named(tmp_path):
    for step in (1, 2):
        save_state(tmp_path, step, state(step)).write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(
        BadInputError, match=r"step-000000002\.npz.*step-000000001\.npz.*Begin again with `restart=True`"
    ):
        load_newest_state(tmp_path)


@pytest.mark.parametrize("what", ["a state", "the folder"])
def test_an_unreadable_state_is_not_called_damaged(tmp_path, what):
    folder = tmp_path / "checkpoints"
    if what == "a state":
        (folder / "step-000000001.npz").mkdir(parents=True)
    else:
        folder.write_text("a file")
    with pytest.raises(BadInputError, match=r"must be readable\. Received: .*: (Is|Not) a directory\. Correct"):
        load_newest_state(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("what", ["a state", "the folder"])
def test_a_missing_permission_is_not_called_damage(tmp_path, what):
    folder = tmp_path / "checkpoints"
    path = save_state(folder, 1, state(1)) if what == "a state" else folder
    folder.mkdir(exist_ok=True)
    path.chmod(0)
    with pytest.raises(BadInputError, match=r"must be readable\. Received: .*: Permission denied\. Correct its perm"):
        load_newest_state(folder)
    path.chmod(0o700)


def test_a_folder_without_states_returns_none(tmp_path):
    assert load_newest_state(tmp_path) is None
    assert load_newest_state(tmp_path / "missing") is None


@contextlib.contextmanager
def full_disk(is_full=True):
    """Limit the files of this process to 2,000 bytes: a write fails half-way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit_file_size(2000 if is_full else before[0])
    try:
        yield
    finally:
        limit_file_size(before[0])


def limit_file_size(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_full_disk_keeps_the_last_state_and_no_partial_file(tmp_path):
    save_state(tmp_path, 1, state(1))
    with (
        full_disk(),
        pytest.raises(BadInputError, match=r"must be writable.*step-000000002\.npz.*Free some disk space"),
    ):
        save_state(tmp_path, 2, state(2))
    assert names(tmp_path) == ["step-000000001.npz"]
    assert load_newest_state(tmp_path).about == {"step": 1}


def test_a_disk_that_fills_up_in_training_loses_no_written_state(tmp_path, stand_in):
    def fill(model):
        limit_file_size(2000)

    options = {"checkpoint_every": 4, "log_every": 4, "tensorboard": False, "show_progress": False}
    model = stand_in.new_classifier(hidden_size=64)
    with full_disk(is_full=False), pytest.raises(BadInputError, match="Free some disk space"):
        fit(
            model,
            stand_in.batches_from,
            12,
            run_dir=tmp_path / "run",
            callbacks=[stand_in.Interrupt(5, fill)],
            **options,
        )
    assert names(tmp_path / "run" / "checkpoints") == ["step-000000004.npz"]
    whole, again = stand_in.new_classifier(hidden_size=64), stand_in.new_classifier(hidden_size=64)
    fit(again, stand_in.batches_from, 12, run_dir=tmp_path / "run", **options)
    fit(whole, stand_in.batches_from, 12, run_dir=tmp_path / "whole", **options)
    stand_in.assert_same_bits(again, whole)


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, stand_in):
    (tmp_path / "run").write_text("a file lies here")
    with pytest.raises(BadInputError, match=r"run folder must be writable\. Received: .*run"):
        fit(stand_in.new_classifier(), stand_in.batches_from, 12, run_dir=tmp_path / "run", show_progress=False)
    assert (tmp_path / "run").read_text() == "a file lies here"


def test_a_damaged_newest_state_costs_only_the_steps_since_the_one_before(tmp_path, stand_in, caplog):
    options = {"checkpoint_every": 4, "log_every": 3, "tensorboard": False, "show_progress": False}
    whole, again = stand_in.new_classifier(), stand_in.new_classifier()
    fit(whole, stand_in.batches_from, 10, run_dir=tmp_path / "whole", **options)
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "step-000000010.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    history = fit(again, stand_in.batches_from, 10, run_dir=tmp_path / "run", **options)
    assert "step-000000010.npz is damaged" in caplog.text
    stand_in.assert_same_bits(again, whole)
    assert [row["step"] for row in history.rows] == [3, 6, 9, 10]
