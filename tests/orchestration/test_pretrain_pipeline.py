"""The pretraining pipeline from text to a pushed model: caching, evaluation and errors."""

import dataclasses
import json
import multiprocessing.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.utils import io_utils

from kerasbert import checkpoints
from kerasbert.models import BertPretrainer
from kerasbert_pipelines.local.run_local import ComponentFailedError, run
from kerasbert_pipelines.local.run_summary import RunSummary
from kerasbert_pipelines.pretrain import create_pipeline
from kerasbert_pipelines.settings import PretrainSettings
from kerasbert_tfx.components.document_check import check_nothing_new

from .conftest import documents, write_documents

COMPONENTS = [
    "DocumentExamples",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DocumentCheck",
    "PreprocessingMaker",
    "PretrainingInstances",
    "Trainer",
    "PretrainingEvaluator",
    "ModelPusher",
]
FileHashes = Callable[[Path], dict[str, str]]


def settings_for(folder: Path, tiny_config: Path, **values: Any) -> PretrainSettings:
    return PretrainSettings(
        **{
            "texts": str(folder / "texts"),
            "pipeline_root": str(folder / "root"),
            "push_folder": str(folder / "pushed"),
            "model": str(tiny_config),
            "vocabulary_size": 100,
            "held_out_share": 0.2,
            "sequence_length": 24,
            "long_sequence_length": 48,
            "long_share": 0.2,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "dropout": 0.0,
            "dupe_factor": 2,
            "steps": 40,
            "checkpoint_every": 10,
            "show_progress": False,
            **values,
        }
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny_config: Path) -> tuple[PretrainSettings, RunSummary]:
    """Settings and summary of a first run."""
    folder = tmp_path_factory.mktemp("pipeline")
    write_documents(folder / "texts" / "a.txt", documents(150))
    settings = settings_for(folder, tiny_config)
    return settings, run(create_pipeline, settings)


def executed(summary: RunSummary) -> list[str]:
    return [name for name, state in summary.states.items() if state != "cached"]


def test_text_becomes_a_pushed_model(first: tuple[PretrainSettings, RunSummary]) -> None:
    settings, summary = first
    assert summary.states == dict.fromkeys(COMPONENTS, "done")
    assert summary.blessed is True
    pushed = Path(summary.pushed_to or "")
    assert pushed.parent == Path(settings.push_folder)
    loaded = checkpoints.load(pushed)
    assert isinstance(loaded.model, BertPretrainer)
    assert loaded.text_to_inputs is not None
    assert loaded.text_to_inputs.sequence_length == 24
    run_folder = Path(summary["Trainer"].outputs["model_run"])
    assert list(run_folder.rglob("tensorboard/*/events.*"))
    history = [json.loads(line) for line in (run_folder / "history.jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(row["phase"] for row in history)) == ["short", "long"]
    assert not list(Path(settings.pipeline_root, "Trainer", "unfinished").iterdir())
    assert summary["PretrainingEvaluator"].metrics["masked_lm_loss"] == pytest.approx(
        summary["Trainer"].metrics["masked_lm_loss"]
    )


def test_the_summary_lists_components_metrics_and_verdict(first: tuple[PretrainSettings, RunSummary]) -> None:
    settings, summary = first
    table = summary.table()
    for name in COMPONENTS:
        assert f"\n{name} " in table
        assert summary[name].peak_megabytes > 100
        assert all(Path(uri).exists() for uri in summary[name].outputs.values())
    assert "masked lm accuracy: 0." in table
    assert "The model was blessed." in table
    assert f"Pushed to {summary.pushed_to}" in table
    assert Path(settings.pipeline_root, "summary.json").is_file()


def test_unchanged_components_are_cached_and_a_change_runs_only_what_depends_on_it(
    first: tuple[PretrainSettings, RunSummary], file_hashes: FileHashes
) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))
    again = run(create_pipeline, settings)
    assert executed(again) == []
    assert again.blessed is True

    stricter = run(create_pipeline, dataclasses.replace(settings, min_masked_lm_accuracy=0.99))
    assert executed(stricter) == ["PretrainingEvaluator", "ModelPusher"]
    assert stricter.blessed is False
    assert stricter.pushed_to is None
    assert "masked_lm_accuracy" in stricter["PretrainingEvaluator"].metrics["verdict"]

    worse = run(create_pipeline, dataclasses.replace(settings, learning_rate=1e-9))
    assert executed(worse) == ["Trainer", "PretrainingEvaluator", "ModelPusher"]
    assert worse.blessed is False
    assert worse.pushed_to is None
    metrics = worse["PretrainingEvaluator"].metrics
    assert metrics["loss"] > metrics["baseline_loss"]
    assert "which the pushed model allows" in metrics["verdict"]
    assert "The model was not blessed.\nNothing was pushed." in worse.table()
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.slow
def test_static_masking_with_a_given_vocabulary_a_base_model_and_changed_text(
    first: tuple[PretrainSettings, RunSummary], tmp_path: Path, tiny_config: Path
) -> None:
    _, before = first
    accents = [["the año and the ano.", "the dog."]]
    write_documents(tmp_path / "texts" / "deep" / "a.txt", documents(100, seed=5) + accents)
    base = before.pushed_to
    settings = settings_for(tmp_path, tiny_config, masking="static", start_from=base, steps=10, max_predictions=4)
    summary = run(create_pipeline, settings)
    assert summary.blessed is True
    assert summary["BaseModel"].outputs["result"] == base
    assert "(ano = año); `strip_accents=False`" in summary["PreprocessingMaker"].metrics["note"]
    trained, started = (checkpoints.load(path or "") for path in (summary.pushed_to, base))
    assert trained.text_to_inputs is not None
    assert started.text_to_inputs is not None
    assert trained.text_to_inputs.vocabulary == started.text_to_inputs.vocabulary
    assert "masked_lm_loss" in summary["PretrainingEvaluator"].metrics
    write_documents(tmp_path / "texts" / "deep" / "b.txt", documents(20, seed=6))
    assert executed(run(create_pipeline, settings))[0] == "DocumentExamples"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_a_killed_run_resumes(tmp_path: Path, tiny_config: Path, request: pytest.FixtureRequest, place: str) -> None:
    root = str(tmp_path / "root") if place == "disk" else f"{request.getfixturevalue('bucket')}/root"
    write_documents(tmp_path / "texts" / "a.txt", documents(150))
    places = {"pipeline_root": root, "push_folder": f"{root}/pushed", "metadata_path": str(tmp_path / "m.sqlite")}
    settings = settings_for(tmp_path, tiny_config, steps=600, checkpoint_every=20, log_every=20, **places)
    arguments = [
        f"--set={name}={value}"
        for name, value in dataclasses.asdict(settings).items()
        if value not in (None, {}, ()) and not isinstance(value, tuple)
    ]
    command = [sys.executable, "-m", "kerasbert", "pipeline", "run", "pretrain", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not tf.io.gfile.glob(f"{root}/Trainer/unfinished/*/checkpoints/*"):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not tf.io.gfile.exists(settings.push_folder)

    said: list[str] = []
    summary = run(create_pipeline, settings, said.append)
    assert executed(summary) == ["Trainer", "PretrainingEvaluator", "ModelPusher"]
    with tf.io.gfile.GFile(f"{summary['Trainer'].outputs['model_run']}/history.jsonl") as file:
        history = file.read()
    # There is one row per 20 steps, so no step was trained twice.
    assert history.count('"step": 20,') == 1
    assert summary.pushed_to is not None
    unbroken = run(create_pipeline, dataclasses.replace(settings, enable_cache=False))
    assert unbroken["PretrainingEvaluator"].metrics["loss"] == summary["PretrainingEvaluator"].metrics["loss"]


# === Bad input ===


def refused(settings: PretrainSettings) -> str:
    """Returns the error line of a failed run."""
    with pytest.raises(ComponentFailedError) as error:
        run(create_pipeline, settings)
    message = str(error.value)
    assert "\n" not in message
    assert message.partition(":")[0] in COMPONENTS
    return message


@pytest.mark.parametrize(
    ("files", "component", "words"),
    [
        ({}, "DocumentExamples", "none"),
        ({"a.txt": b""}, "DocumentExamples", "all empty"),
        ({"a.txt": b"\n\n  \n"}, "DocumentExamples", "at least one line that is not blank"),
        ({"a.txt": b"one\ntwo\nthree\n"}, "DocumentExamples", "at least two documents"),
        ({"a.txt": b"one\n\ntwo\n\nthree\n"}, "DocumentExamples", "two or more sentences"),
        ({"a.txt": b"\x7fELF\0\0\0"}, "DocumentExamples", "is binary"),
        ({"a.txt": "one\ntwo\n".encode("utf-16")}, "DocumentExamples", "at least two documents"),
        ({"a.txt": "Grüße\nKühe\n\nÄpfel\n".encode("cp1252")}, "DocumentExamples", "encoding='cp125"),
        ({"a.csv": b"text\none\n"}, "DocumentExamples", "without `text_column`"),
    ],
)
def test_invalid_texts_are_rejected(
    tmp_path: Path, tiny_config: Path, files: dict[str, bytes], component: str, words: str
) -> None:
    (tmp_path / "texts").mkdir()
    for name, content in files.items():
        (tmp_path / "texts" / name).write_bytes(content)
    message = refused(settings_for(tmp_path, tiny_config))
    assert message.startswith(f"{component}: ")
    assert words in message


def test_a_vocabulary_for_another_script_is_rejected(tmp_path: Path, tiny_config: Path, preprocessing: Path) -> None:
    russian = [["Привет, мир.", "Это второе предложение."], ["Ещё один документ.", "И снова слова."]] * 20
    write_documents(tmp_path / "texts" / "a.txt", [[f"{line} {n}" for line in text] for n, text in enumerate(russian)])
    vocabulary = str(preprocessing / "vocab.txt")
    message = refused(settings_for(tmp_path, tiny_config, vocabulary=vocabulary))
    assert message.startswith("PreprocessingMaker: ")
    assert vocabulary in message
    assert "unknown" in message


def test_a_model_to_start_from_with_other_shapes_is_rejected(
    first: tuple[PretrainSettings, RunSummary], tmp_path: Path, file_hashes: FileHashes
) -> None:
    settings, before = first
    pushed = file_hashes(Path(settings.push_folder))
    shutil.copytree(before.pushed_to or "", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    message = refused(dataclasses.replace(settings, start_from=str(tmp_path / "model")))
    assert message.startswith("PreprocessingMaker: ")
    assert "shape" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


def test_documents_that_do_not_match_an_earlier_schema_are_rejected(
    first: tuple[PretrainSettings, RunSummary], tmp_path: Path, tiny_config: Path, file_hashes: FileHashes
) -> None:
    settings, before = first
    pushed = file_hashes(Path(settings.push_folder))
    russian = [[f"Привет, мир номер {n}.", f"Это предложение {n}."] for n in range(40)]
    write_documents(tmp_path / "texts" / "a.txt", russian)
    schema = str(Path(before["SchemaGen"].outputs["schema"], "schema.pbtxt"))
    changed = settings_for(tmp_path, tiny_config, schema=schema, push_folder=settings.push_folder)
    message = refused(changed)
    assert message.startswith("DocumentCheck: ")
    assert "'script'" in message
    assert "CYRILLIC" in message
    assert file_hashes(Path(settings.push_folder)) == pushed
    # If no schema is given, documents must match that of the last run with the same folders.
    elsewhere = dataclasses.replace(settings, texts=str(tmp_path / "texts"))
    message = refused(elsewhere)
    assert message.startswith("DocumentCheck: ")
    assert "'script' has new values: CYRILLIC" in message


def test_a_new_script_is_rejected_unless_the_new_schema_is_accepted() -> None:
    before = {"script": {"type": "BYTES", "values": ["GREEK", "LATIN"]}, "sentences": {"type": "INT", "values": []}}
    fewer = {**before, "script": {"type": "BYTES", "values": ["LATIN"]}}
    check_nothing_new(before, fewer)
    with pytest.raises(ValueError, match=r"'script' has new values: GREEK\..*accept_new_schema: true"):
        check_nothing_new(fewer, before)
    with pytest.raises(ValueError, match=r"'sentences' was INT and is FLOAT"):
        check_nothing_new(before, {"sentences": {"type": "FLOAT", "values": []}})


def test_a_full_disk_leaves_pushed_models_unchanged(
    first: tuple[PretrainSettings, RunSummary], monkeypatch: pytest.MonkeyPatch, file_hashes: FileHashes
) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))

    copy = io_utils.copy_dir

    def copy_or_fail(source: str, target: str, **options: Any) -> None:
        if settings.push_folder not in target:
            copy(source, target, **options)
            return
        Path(target, "config.json").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(io_utils, "copy_dir", copy_or_fail)
    message = refused(dataclasses.replace(settings, learning_rate=1e-8, max_loss_increase=100.0))
    assert message.startswith("ModelPusher: ")
    assert "No space left on device" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


def test_temporary_files_of_tfx_and_beam_are_removed(
    tmp_path: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiprocessing.util.get_temp_dir()  # created once per process, so not a leftover of the run
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    write_documents(tmp_path / "texts" / "a.txt", documents(20))
    # With Beam arguments, TFX packages itself into a temporary folder. Some components run before one fails.
    arguments = ("--direct_running_mode=in_memory",)
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("word\n")
    refused(settings_for(tmp_path, tiny_config, beam_pipeline_args=arguments, vocabulary=str(vocabulary)))
    assert os.listdir(tmp_path / "temporary") == []
    assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(tmp_path / "temporary")


def test_a_pipeline_root_that_cannot_be_written_is_rejected(tmp_path: Path, tiny_config: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "root").write_text("a file")
    with pytest.raises(ValueError, match="`pipeline_root` must be in a writable folder"):
        run(create_pipeline, settings_for(tmp_path, tiny_config))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"texts": ""}, "no `texts`"),
        ({"vocabulary": "/nowhere/vocab.txt"}, "vocabulary='/nowhere/vocab.txt'"),
        ({"start_from": "/nowhere"}, "start_from='/nowhere'"),
        ({"held_out_share": 0.0}, "held_out_share=0.0"),
        ({"resources": {"Trainr": None}}, "Received: resources.Trainr"),
    ],
)
def test_invalid_settings_are_rejected(tmp_path: Path, tiny_config: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="Received") as error:
        create_pipeline(settings_for(tmp_path, tiny_config, **values))
    assert words in str(error.value)
