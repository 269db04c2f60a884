"""The folder of a run that was killed is found again by a run that would end with the same weights, and by no other."""

from pathlib import Path
from typing import Any

from kerasbert_tfx.modules.model_folder import local_folder


def folder_of(tmp_path: Path, start: Path | None = None, files: str = "rows", **settings: Any) -> Path:
    config = {"settings": {"epochs": 3, **settings}, "starts_from_model": start is not None}
    with local_folder(str(tmp_path / "Trainer" / "model_run" / "7"), config, [files], start and str(start)) as folder:
        return folder


def test_what_a_run_depends_on_names_its_folder(tmp_path: Path) -> None:
    first = folder_of(tmp_path)
    assert first.parent == tmp_path / "Trainer" / "unfinished"
    assert folder_of(tmp_path) == first
    assert folder_of(tmp_path, log_every=7, checkpoint_every=3, show_progress=False) == first
    others = [folder_of(tmp_path, files="others"), folder_of(tmp_path, epochs=4), folder_of(tmp_path, seed=1)]
    assert len({first, *others}) == 4


def test_another_model_under_the_same_name_is_another_start(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "model.safetensors").write_bytes(b"one")
    first = folder_of(tmp_path, start)
    assert folder_of(tmp_path, start) == first
    (start / "model.safetensors").write_bytes(b"two")
    assert folder_of(tmp_path, start) not in (first, folder_of(tmp_path))
