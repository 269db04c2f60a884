"""The fine-tuning pipeline rejects bad input with one clear line and leaves pushed models unchanged."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import BadInputError
from kerasbert_pipelines import fine_tune_serving
from kerasbert_pipelines.fine_tune import create_pipeline
from kerasbert_pipelines.local.run_local import ComponentFailedError, run
from kerasbert_pipelines.settings import FineTuneSettings

from .labelled_tables import FINE_TUNE_COMPONENTS, TOPICS, FineTuned, fine_tune_settings, topic_rows, write_table

FileHashes = Callable[[Path], dict[str, str]]


def refused(settings: FineTuneSettings) -> str:
    """Returns the error line of a failed run."""
    with pytest.raises(ComponentFailedError) as error:
        run(create_pipeline, settings)
    message = str(error.value)
    assert "\n" not in message
    assert "while running" not in message
    assert message.partition(":")[0] in FINE_TUNE_COMPONENTS | {"SchemaImport"}
    return message


@pytest.mark.parametrize(
    ("content", "component", "words"),
    [
        ("", "LabelledExampleGen", "without 'text'"),
        ("text,label\n", "LabelledExampleGen", "at least one row"),
        ("text,category\nx,y\n", "LabelledExampleGen", "without 'label'. Columns there: 'text', 'category'"),
        ("text,label\nx,y\nz\n", "LabelledExampleGen", "line 3 of"),
        ("text,label\nx,y\nz,\n", "LabelledExampleGen", "no label in line 3"),
        ("text,label\n" + "".join(f"x{n},same\n" for n in range(60)), "LabelledSchemaGen", "all with the label 'same'"),
    ],
)
def test_invalid_rows_are_rejected(tmp_path: Path, start_model: Path, content: str, component: str, words: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    message = refused(
        fine_tune_settings(
            tmp_path, tmp_path / "rows.csv", start_model, train_share=0.98, validation_share=0.01, test_share=0.01
        )
    )
    assert message.startswith(f"{component}: ")
    assert words in message


def test_missing_files_and_files_in_another_encoding_are_rejected(tmp_path: Path, start_model: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    message = refused(fine_tune_settings(tmp_path, folder, start_model))
    assert message.startswith(f"LabelledExampleGen: There must be files with rows. Received: '{folder}/*'")
    write_table(folder / "a.csv", ("text", "label"), topic_rows(20))
    (folder / "b.csv").write_bytes("text,label\nGrüße,animals\nKühe,animals\n".encode("cp1252"))
    message = refused(fine_tune_settings(tmp_path, folder, start_model))
    assert message.startswith("LabelledExampleGen: A text file must be in UTF-8")
    assert "b.csv'" in message
    assert "encoding='cp1252'" in message


def test_rows_with_words_that_are_not_in_the_vocabulary_are_rejected(
    fine_tuned: FineTuned, tmp_path: Path, file_hashes: FileHashes
) -> None:
    settings, _ = fine_tuned
    pushed = file_hashes(Path(settings.push_folder))
    rows = [(f"Привет, мир {number}", TOPICS[number % 3]) for number in range(90)]
    data = write_table(tmp_path / "rows.csv", ("text", "label"), rows)
    with data.open("ab") as file:
        file.write("café,food\n".encode("latin-1"))
    message = refused(dataclasses.replace(settings, data=str(data), pipeline_root=str(tmp_path / "root")))
    (metrics,) = (tmp_path / "root" / "LabelledExampleGen").rglob("metrics.json")
    assert "1 of 91 lines contain invalid UTF-8" in json.loads(metrics.read_text())["note"]
    assert message.startswith("Trainer: The vocabulary must know the text's words.")
    assert f"unknown to '{settings.start_from}'" in message
    assert "`max_unknown_share`" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


def test_a_changed_schema_stops_the_run_and_keeps_pushed_models(
    fine_tuned: FineTuned, tmp_path: Path, file_hashes: FileHashes
) -> None:
    settings, _ = fine_tuned
    pushed = file_hashes(Path(settings.push_folder))
    renamed = [(text, "meals" if label == "food" else label) for text, label in topic_rows(300)]
    changed = dataclasses.replace(
        settings, data=str(write_table(tmp_path / "rows.csv", ("text", "label"), renamed)), epochs=1
    )
    message = refused(changed)
    assert message.startswith("DataCheck: ")
    assert 'values are new: "meals"; in column \'label\' these values are missing: "food"' in message
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.slow
def test_rows_that_do_not_match_the_users_schema_are_rejected(
    fine_tuned: FineTuned, tmp_path: Path, start_model: Path
) -> None:
    _, before = fine_tuned
    schema = Path(before["LabelledSchemaGen"].outputs["schema"], "schema.pbtxt")
    text = schema.read_text().replace('value: "food"', 'value: "meals"')
    (tmp_path / "schema.pbtxt").write_text(text)
    rows = write_table(tmp_path / "rows.csv", ("text", "label"), topic_rows(60))
    settings = fine_tune_settings(tmp_path, rows, start_model, schema=str(tmp_path / "schema.pbtxt"))
    message = refused(settings)
    assert message.startswith("DataCheck: ")
    assert "'food'" in message
    # The corrected file has the same name, so a fingerprint of names alone would miss the change.
    (tmp_path / "schema.pbtxt").write_text(schema.read_text())
    assert run(create_pipeline, settings)["SchemaImport"].state == "done"
    for path, content in ((tmp_path / "no.pbtxt", None), (tmp_path / "odd.pbtxt", "no: schema")):
        if content:
            path.write_text(content)
        message = refused(dataclasses.replace(settings, schema=str(path)))
        assert message.startswith("SchemaImport: ")
        assert path.name in message


def test_a_missing_model_to_start_from_or_one_of_another_shape_is_rejected(
    fine_tuned: FineTuned, tmp_path: Path, start_model: Path, file_hashes: FileHashes
) -> None:
    settings, _ = fine_tuned
    pushed = file_hashes(Path(settings.push_folder))
    message = refused(dataclasses.replace(settings, start_from=str(tmp_path / "nowhere")))
    assert message.startswith("Trainer: ")
    assert f"'{tmp_path / 'nowhere'}', which does not. Check `start_from`" in message

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in start_model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    message = refused(dataclasses.replace(settings, start_from=str(broken)))
    assert message.startswith("Trainer: ")
    assert "shape" in message
    message = refused(dataclasses.replace(settings, sequence_length=64))
    assert message.startswith("Trainer: ")
    assert "32 positions" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.slow
def test_a_full_disk_leaves_pushed_models_unchanged(
    fine_tuned: FineTuned, tmp_path: Path, file_hashes: FileHashes
) -> None:
    settings, _ = fine_tuned
    pushed = file_hashes(Path(settings.push_folder))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        small = dataclasses.replace(
            settings, pipeline_root=f"{disk}/root", metadata_path=f"{disk}/root/metadata.sqlite"
        )
        message = refused(small)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert ": No space left on device: " in message
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.slow
def test_a_push_folder_that_cannot_be_written_is_an_error(fine_tuned: FineTuned, tmp_path: Path) -> None:
    settings, _ = fine_tuned
    (tmp_path / "file").write_text("no folder")
    message = refused(dataclasses.replace(settings, push_folder=str(tmp_path / "file")))
    assert message.startswith("ModelPusher: ")
    assert "Received" in message
    (tmp_path / "pushed" / "1").mkdir(parents=True)
    message = refused(dataclasses.replace(settings, push_folder=str(tmp_path / "pushed")))
    assert message.startswith("ComparingEvaluator: ")
    assert "contains no saved_model.pb" in message


@pytest.mark.slow
def test_an_exported_model_with_other_preprocessing_is_not_pushed(
    fine_tuned: FineTuned, monkeypatch: pytest.MonkeyPatch, file_hashes: FileHashes
) -> None:
    settings, _ = fine_tuned
    pushed = file_hashes(Path(settings.push_folder))
    from kerasbert import export

    write = export.write

    def write_another(model: Any, folder: Any, text_to_inputs: Any, *arguments: Any, **options: Any) -> None:
        other = type(text_to_inputs)(text_to_inputs.tokenizer, 8)
        write(model, folder, other, *arguments, **options)

    monkeypatch.setattr(export, "write", write_another)
    message = refused(dataclasses.replace(settings, epochs=1, learning_rate=2e-2, max_metric_decrease=1.0))
    assert message.startswith("SkewCheck: ")
    assert "must compute the same token ids" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"data": ""}, "no `data`"),
        ({"start_from": None}, "no `start_from` and no `vocabulary`"),
        ({"train_share": 0.0, "test_share": 0.9}, "train_share=0.0"),
        ({"train_share": 0.5}, "must sum to 1"),
        ({"metric": "beauty"}, "metric='beauty'"),
        ({"label_column": "text"}, "different columns"),
        ({"resources": {"Trainr": None}}, "Trainr"),
        ({"infra_validator": "yes", "image": "example.com/image"}, "the pipeline is for a cluster"),
        ({"pipeline_root": "runs/lr=[0.001]"}, "`pipeline_root` must not contain '['"),
        ({"push_folder": "pushed/*"}, "`push_folder` must not contain '*'"),
    ],
)
def test_invalid_settings_are_rejected(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    settings = fine_tune_settings(tmp_path, tmp_path / "rows.csv", tmp_path / "model")
    with pytest.raises(BadInputError, match="Received") as error:
        create_pipeline(dataclasses.replace(settings, **values))
    assert words in str(error.value)


def test_an_invalid_folder_is_not_created(tmp_path: Path) -> None:
    settings = fine_tune_settings(tmp_path, tmp_path / "rows.csv", tmp_path / "model", pipeline_root=f"{tmp_path}/a?b")
    with pytest.raises(BadInputError, match=r"must not contain '\?'"):
        run(create_pipeline, settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("wanted", "answers"), [("yes", True), ("yes", False), ("auto", True), ("auto", False)])
def test_infra_validator_is_included_if_docker_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, answers: bool
) -> None:
    monkeypatch.setattr(fine_tune_serving, "docker_answers", lambda: answers)
    settings = fine_tune_settings(tmp_path, tmp_path / "rows.csv", tmp_path / "model", infra_validator=wanted)
    if wanted == "yes" and not answers:
        with pytest.raises(BadInputError, match="no Docker daemon answers"):
            create_pipeline(settings)
        return
    nodes = {node.id: node for node in create_pipeline(settings).components}
    assert ("InfraValidator" in nodes) is answers
    assert ("infra_blessing" in nodes["ModelPusher"].inputs) is answers


def test_a_missing_docker_daemon_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert fine_tune_serving.docker_answers() is False
