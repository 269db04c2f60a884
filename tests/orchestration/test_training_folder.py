"""A run resumes in the folder of a killed run only if both would give the same weights."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from kerasbert_tfx.modules import training_folder as training_folders
from kerasbert_tfx.modules.training_folder import training_folder

from .bucket_filesystem import objects


def folder_of(tmp_path: Path, start: Path | None = None, files: str = "rows", **settings: Any) -> Path:
    config = {"settings": {"epochs": 3, **settings}, "unfinished": str(tmp_path / "Trainer" / "unfinished")}
    with training_folder(config, [files], {"start_from": start and str(start)}) as folder:
        return folder


def test_the_folder_depends_on_everything_that_changes_the_weights(tmp_path: Path) -> None:
    first = folder_of(tmp_path)
    assert first.parent == tmp_path / "Trainer" / "unfinished"
    assert folder_of(tmp_path) == first
    assert folder_of(tmp_path, log_every=7, checkpoint_every=3, show_progress=False) == first
    others = [folder_of(tmp_path, files="others"), folder_of(tmp_path, epochs=4), folder_of(tmp_path, seed=1)]
    assert len({first, *others}) == 4


def test_another_model_with_the_same_name_gives_another_folder(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "model.safetensors").write_bytes(b"one")
    first = folder_of(tmp_path, start)
    assert folder_of(tmp_path, start) == first
    (start / "model.safetensors").write_bytes(b"two")
    assert folder_of(tmp_path, start) not in (first, folder_of(tmp_path))


def test_a_finished_run_removes_its_folder_and_a_failed_one_keeps_it(tmp_path: Path) -> None:
    config = {"settings": {}, "unfinished": str(tmp_path / "unfinished")}

    def run(error: Exception | None) -> Path:
        with training_folder(config, [], {}) as work:
            unfinished_run(work, 2)
            if error:
                raise error
            return work

    with pytest.raises(ValueError, match="failed"):
        run(ValueError("failed"))
    (work,) = (tmp_path / "unfinished").iterdir()
    assert (work / "history.jsonl").is_file()
    assert run(None) == work
    assert not work.exists()


# === In a bucket ===


def unfinished_run(work: Path, step: int) -> None:
    """Writes the files of a run that was killed after some steps."""
    (work / "checkpoints").mkdir(parents=True, exist_ok=True)
    settings = {"start_from": "/first/machine/model", "output": str(work)}
    (work / "settings.json").write_text(json.dumps({"command": "pretrain", "settings": settings}))
    (work / "history.jsonl").write_text("{}\n" * step)
    (work / "checkpoints" / f"step-{step:09d}.npz").write_text(f"state {step}")


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 20
    while not tf.io.gfile.exists(address):
        assert time.monotonic() < deadline, objects()
        time.sleep(0.05)


def test_states_are_copied_to_the_bucket_during_training_and_found_by_the_next_run(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_folders, "_SECONDS_BETWEEN_LOOKS", 0.05)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    config = {"settings": {"seed": 1}, "unfinished": f"{bucket}/root/Trainer/unfinished"}
    first = training_folder(config, ["rows"], {"start_from": str(tmp_path / "model")})
    work = first.__enter__()
    for step in (4, 8, 12):
        unfinished_run(work, step)
        wait_for(f"{config['unfinished']}/{work.name}/checkpoints/step-{step:09d}.npz")
    # The machine is lost: the context manager never exits. The next machine has the model at another path.
    with training_folder(config, ["rows"], {"start_from": str(tmp_path / "copy")}) as again:
        assert again != work
        assert sorted(path.name for path in (again / "checkpoints").iterdir()) == [
            "step-000000008.npz",
            "step-000000012.npz",
        ]
        assert (again / "history.jsonl").read_text() == "{}\n" * 12
        assert json.loads((again / "settings.json").read_text())["settings"]["start_from"] == str(tmp_path / "copy")
    assert not [name for name in objects(f"{bucket}/root/Trainer/unfinished/") if not name.endswith("/")]
    with training_folder(config, ["other rows"], {"start_from": str(tmp_path / "copy")}) as other:
        assert not other.exists()
    first.__exit__(None, None, None)


def test_the_last_state_of_a_stopped_run_is_copied(bucket: str) -> None:
    def stopped_run() -> None:
        with training_folder({"settings": {}, "unfinished": f"{bucket}/unfinished"}, [], {}) as work:
            unfinished_run(work, 3)
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        stopped_run()
    assert [name for name in objects(f"{bucket}/unfinished/") if name.endswith("checkpoints/step-000000003.npz")]
