"""The fine-tuning pipeline from a table to a pushed model: cached, judged, and stopped by what it cannot use."""

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_text  # noqa: F401 (registers the ops of the exported tokenizer)

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, read_labelled
from kerasbert.errors import BadInputError
from kerasbert_pipelines import fine_tune
from kerasbert_pipelines.fine_tune import create_pipeline
from kerasbert_pipelines.local.run_local import ComponentFailedError, run
from kerasbert_pipelines.local.run_summary import RunSummary
from kerasbert_pipelines.settings import FineTuneSettings
from kerasbert_tfx.evaluation.evaluation_views import length_class
from kerasbert_tfx.records.labelled_records import Columns, read_rows

from .labelled_tables import (
    TOPICS,
    auc_and_its_bound,
    fine_tune_settings,
    save_tiny_model,
    topic_rows,
    write_table,
)

COMPONENTS = {
    "LabelledExampleGen",
    "StatisticsGen",
    "LabelledSchemaGen",
    "ExampleValidator",
    "DataCheck",
    "StartModel",
    "Trainer",
    "ComparingEvaluator",
    "SkewCheck",
    "ModelPusher",
}
AFTER_TRAINING = {"ComparingEvaluator", "SkewCheck", "ModelPusher"}
FileHashes = Callable[[Path], dict[str, str]]
First = tuple[FineTuneSettings, RunSummary]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, preprocessing: Path) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("start") / "model", preprocessing)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, start: Path) -> First:
    """The settings and the summary of a first run."""
    folder = tmp_path_factory.mktemp("fine_tuning")
    write_table(folder / "rows.csv", ("text", "label"), topic_rows(300))
    settings = fine_tune_settings(folder, folder / "rows.csv", start)
    return settings, run(create_pipeline, settings)


def executed(summary: RunSummary) -> set[str]:
    return {name for name, state in summary.states.items() if state != "cached"}


def rows_of(summary: RunSummary, split: str) -> LabelledTexts:
    examples = summary["LabelledExampleGen"].outputs["examples"]
    return read_rows([f"{examples}/Split-{split}/*"], Columns(), split)


def test_a_table_becomes_a_pushed_model(first: First) -> None:
    settings, summary = first
    assert summary.states == dict.fromkeys(COMPONENTS, "done")
    assert summary.blessed is True
    assert sum(summary["LabelledExampleGen"].metrics[f"{split}_rows"] for split in ("train", "eval", "test")) == 300
    pushed = Path(summary.pushed_to or "")
    assert pushed.parent == Path(settings.push_folder)
    kept = Path(summary["Trainer"].outputs["model_run"])
    loaded = checkpoints.load(kept / "model")
    assert loaded.labels == tuple(sorted(TOPICS))
    assert list(kept.rglob("tensorboard/**/events.*"))
    assert not list(Path(settings.pipeline_root, "Trainer", "unfinished").iterdir())

    # The same share of rows in the same place as the library alone would have it, and the same answers on the wire.
    shares = {"train": 0.7, "eval": 0.1, "test": 0.2}
    expected = read_labelled(settings.data).split(shares)
    for split in shares:
        assert sorted(rows_of(summary, split).texts) == sorted(expected[split].texts)
    test = rows_of(summary, "test")
    served = tf.saved_model.load(str(pushed))
    answer = served.signatures["serving_default"](text=tf.constant(test.texts))
    logits = loaded.model(loaded.text_to_inputs(list(test.texts)), training=False)
    np.testing.assert_allclose(answer["logits"], logits, atol=1e-5)


def test_the_metrics_of_tfma_are_those_of_scikit_learn(first: First) -> None:
    _, summary = first
    rows = rows_of(summary, "test")
    served = tf.saved_model.load(summary.pushed_to)
    answer = served.signatures["serving_default"](text=tf.constant(rows.texts))
    labels = sorted(TOPICS)
    # The probabilities that the evaluation sees, in the order of the labels' names.
    order = np.argsort(answer["labels"].numpy(), axis=1)
    probabilities = np.take_along_axis(answer["probabilities"].numpy(), order, axis=1)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(answer["logits"]), atol=1e-6)
    true = np.array([labels.index(label) for label in rows.labels or ()])
    best = probabilities.argmax(axis=1)
    metrics = summary["ComparingEvaluator"].metrics
    assert 0.4 < metrics["accuracy"] <= 1
    assert metrics["example_count"] == len(rows)
    assert metrics["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(true, best))
    assert metrics["calibration"] == pytest.approx(probabilities.max(axis=1).sum() / (best == true).sum(), rel=1e-5)
    for average in ("macro", "micro", "weighted"):
        expected = sklearn.metrics.f1_score(true, best, labels=[0, 1, 2], average=average, zero_division=0)
        assert metrics[f"{average}_f1"] == pytest.approx(expected)
    assert metrics["auc"] == pytest.approx(*auc_and_its_bound(np.eye(3)[true], probabilities))
    assert summary["Trainer"].metrics["accuracy"] == pytest.approx(metrics["accuracy"])

    slices = slice_metrics(summary["ComparingEvaluator"].outputs["evaluation"], "accuracy")
    for index, label in enumerate(labels):
        assert slices[("label", label)] == pytest.approx((best == true)[true == index].mean())
    lengths = np.array([length_class([text]) for text in rows.texts])
    assert len(set(lengths)) > 1
    for length in set(lengths):
        assert slices[("text_length", length)] == pytest.approx((best == true)[lengths == length].mean())


def slice_metrics(evaluation: str, name: str) -> dict[tuple[str, str], float]:
    """Slice -> one of its metrics."""
    found = {}
    for part in tfma.load_metrics(evaluation):
        for key in part.slice_key.single_slice_keys:
            for metric in part.metric_keys_and_values:
                if metric.key.name == name:
                    found[key.column, key.bytes_value.decode()] = metric.value.double_value.value
    return found


def test_what_has_not_changed_is_cached_and_only_what_depends_on_a_change_runs(
    first: First, file_hashes: FileHashes
) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))
    again = run(create_pipeline, settings)
    assert executed(again) == set()
    assert again.blessed is True

    stricter = run(create_pipeline, dataclasses.replace(settings, min_metric=1.01))
    assert executed(stricter) == {"ComparingEvaluator", "ModelPusher"}
    assert stricter.pushed_to is None
    assert "beyond its lower bound 1.0100" in stricter["ComparingEvaluator"].metrics["verdict"]

    worse = run(create_pipeline, dataclasses.replace(settings, learning_rate=1e-9, epochs=1))
    assert executed(worse) == {"Trainer", *AFTER_TRAINING}
    assert worse.blessed is False
    assert worse.pushed_to is None
    metrics = worse["ComparingEvaluator"].metrics
    assert metrics["accuracy"] < metrics["baseline_accuracy"]
    assert "of the pushed model" in metrics["verdict"]
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.slow
def test_a_model_is_judged_and_pushed_anew_when_the_pushed_ones_have_changed(first: First, tmp_path: Path) -> None:
    settings, _ = first
    settings = dataclasses.replace(settings, push_folder=str(tmp_path / "pushed"))
    pushed = Path(run(create_pipeline, settings).pushed_to or "")
    shutil.rmtree(pushed)
    again = run(create_pipeline, settings)
    assert executed(again) == {"ModelPusher"}
    assert Path(again.pushed_to or "", "saved_model.pb").is_file()
    # Others pushed a model meanwhile: it is what the next one must not be worse than.
    newer = tmp_path / "pushed" / "9999999999"
    shutil.copytree(again.pushed_to or "", newer)
    (newer / "assets.extra" / "note").write_text("another")
    compared = run(create_pipeline, settings)
    assert executed(compared) == {"ComparingEvaluator", "ModelPusher"}
    assert compared["ComparingEvaluator"].baseline == str(newer)
    assert "baseline_accuracy" in compared["ComparingEvaluator"].metrics


# === Bad input ===


def refused(settings: FineTuneSettings) -> str:
    """The one line that a run ends with."""
    with pytest.raises(ComponentFailedError) as error:
        run(create_pipeline, settings)
    message = str(error.value)
    assert "\n" not in message
    assert "while running" not in message
    assert message.partition(":")[0] in COMPONENTS | {"SchemaImport"}
    return message


@pytest.mark.parametrize(
    ("content", "component", "words"),
    [
        ("", "LabelledExampleGen", "without 'text'"),
        ("text,label\n", "LabelledExampleGen", "at least one row"),
        ("text,category\nx,y\n", "LabelledExampleGen", "without 'label'. Columns there: 'text', 'category'"),
        ("text,label\nx,y\nz\n", "LabelledExampleGen", "line 3 of"),
        ("text,label\nx,y\nz,\n", "LabelledExampleGen", "no label in line 3"),
        ("text,label\n" + "".join(f"x{n},same\n" for n in range(60)), "LabelledSchemaGen", "all labelled 'same'"),
        ("text,label\nx,y\n", "DataCheck", "Each split must have rows"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path: Path, start: Path, content: str, component: str, words: str) -> None:
    if component == "DataCheck":
        content = "text,label\nx0,a\nx1,b\nx3,a\n"
    (tmp_path / "rows.csv").write_text(content)
    message = refused(
        fine_tune_settings(
            tmp_path, tmp_path / "rows.csv", start, train_share=0.98, validation_share=0.01, test_share=0.01
        )
    )
    assert message.startswith(f"{component}: ")
    assert words in message


def test_files_that_are_not_there_or_in_another_encoding(tmp_path: Path, start: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    message = refused(fine_tune_settings(tmp_path, folder, start))
    assert message.startswith(f"LabelledExampleGen: There must be files with rows. Received: '{folder}/*'")
    write_table(folder / "a.csv", ("text", "label"), topic_rows(20))
    (folder / "b.csv").write_bytes("text,label\nthe dog,animals\n".encode("utf-16"))
    message = refused(fine_tune_settings(tmp_path, folder, start))
    assert message.startswith("LabelledExampleGen: A text file must be in UTF-8.")
    assert "b.csv', which is in UTF-16" in message


def test_rows_in_words_that_the_vocabulary_lacks(first: First, tmp_path: Path, file_hashes: FileHashes) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))
    rows = [(f"Привет, мир {number}", TOPICS[number % 3]) for number in range(90)]
    data = write_table(tmp_path / "rows.csv", ("text", "label"), rows)
    with data.open("ab") as file:
        file.write("café,food\n".encode("latin-1"))
    message = refused(dataclasses.replace(settings, data=str(data), pipeline_root=str(tmp_path / "root")))
    (metrics,) = (tmp_path / "root" / "LabelledExampleGen").rglob("metrics.json")
    assert json.loads(metrics.read_text())["note"].startswith("1 rows hold U+FFFD")
    assert message.startswith("Trainer: The vocabulary must know the text's words.")
    assert f"unknown to '{settings.start_from}'" in message
    assert "`max_unknown_share`" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


def test_a_label_that_training_lacks(tmp_path: Path, start: Path) -> None:
    rows = topic_rows(100)
    shares = {"train": 0.7, "eval": 0.1, "test": 0.2}
    table = read_labelled(write_table(tmp_path / "all.csv", ("text", "label"), rows))
    unseen = table.split(shares)["test"].texts[0]
    changed = [(text, "weather" if text == unseen else label) for text, label in rows]
    write_table(tmp_path / "rows.csv", ("text", "label"), changed)
    message = refused(fine_tune_settings(tmp_path, tmp_path / "rows.csv", start))
    assert message.startswith("DataCheck: ")
    assert "Received: 'weather' (1 rows) in column 'label' of the 'test' split" in message


def test_a_schema_that_has_changed_stops_the_run_and_what_was_pushed_stays(
    first: First, tmp_path: Path, file_hashes: FileHashes
) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))
    renamed = [(text, "meals" if label == "food" else label) for text, label in topic_rows(300)]
    changed = dataclasses.replace(
        settings, data=str(write_table(tmp_path / "rows.csv", ("text", "label"), renamed)), epochs=1
    )
    message = refused(changed)
    assert message.startswith("DataCheck: ")
    assert 'values are new: "meals"; in column \'label\' these values are gone: "food"' in message
    assert file_hashes(Path(settings.push_folder)) == pushed


def test_rows_that_do_not_meet_the_users_own_schema(first: First, tmp_path: Path, start: Path) -> None:
    _, before = first
    schema = Path(before["LabelledSchemaGen"].outputs["schema"], "schema.pbtxt")
    text = schema.read_text().replace('value: "food"', 'value: "meals"')
    (tmp_path / "schema.pbtxt").write_text(text)
    rows = write_table(tmp_path / "rows.csv", ("text", "label"), topic_rows(60))
    settings = fine_tune_settings(tmp_path, rows, start, schema=str(tmp_path / "schema.pbtxt"))
    message = refused(settings)
    assert message.startswith("DataCheck: ")
    assert "'food'" in message
    # The corrected file has the name of the wrong one.
    (tmp_path / "schema.pbtxt").write_text(schema.read_text())
    assert run(create_pipeline, settings)["SchemaImport"].state == "done"
    for path, content in ((tmp_path / "no.pbtxt", None), (tmp_path / "odd.pbtxt", "no: schema")):
        if content:
            path.write_text(content)
        message = refused(dataclasses.replace(settings, schema=str(path)))
        assert message.startswith("SchemaImport: ")
        assert path.name in message


def test_a_model_to_start_from_that_is_missing_or_of_another_shape(
    first: First, tmp_path: Path, start: Path, file_hashes: FileHashes
) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))
    message = refused(dataclasses.replace(settings, start_from=str(tmp_path / "nowhere")))
    assert message.startswith("Trainer: ")
    assert f"'{tmp_path / 'nowhere'}', which does not exist" in message

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in start.iterdir():
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
def test_a_disk_that_is_full(first: First, tmp_path: Path, file_hashes: FileHashes) -> None:
    settings, _ = first
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


def test_a_push_folder_that_cannot_be_written(first: First, tmp_path: Path) -> None:
    settings, _ = first
    (tmp_path / "file").write_text("no folder")
    message = refused(dataclasses.replace(settings, push_folder=str(tmp_path / "file")))
    assert message.startswith("ModelPusher: ")
    assert "Received" in message
    (tmp_path / "pushed" / "1").mkdir(parents=True)
    message = refused(dataclasses.replace(settings, push_folder=str(tmp_path / "pushed")))
    assert message.startswith("ComparingEvaluator: ")
    assert "holds no saved_model.pb" in message


def test_an_exported_model_with_other_preprocessing_is_not_pushed(
    first: First, monkeypatch: pytest.MonkeyPatch, file_hashes: FileHashes
) -> None:
    settings, _ = first
    pushed = file_hashes(Path(settings.push_folder))
    from kerasbert import export

    write = export.write

    def write_another(model: Any, folder: Any, text_to_inputs: Any, *arguments: Any, **options: Any) -> None:
        other = type(text_to_inputs)(text_to_inputs.tokenizer, 8)
        write(model, folder, other, *arguments, **options)

    monkeypatch.setattr(export, "write", write_another)
    message = refused(dataclasses.replace(settings, epochs=1, learning_rate=2e-2, max_metric_decrease=1.0))
    assert message.startswith("SkewCheck: ")
    assert "must make the same token ids" in message
    assert file_hashes(Path(settings.push_folder)) == pushed


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"data": ""}, "no `data`"),
        ({"start_from": None}, "neither `start_from` nor `vocabulary`"),
        ({"train_share": 0.0, "test_share": 0.9}, "train_share=0.0"),
        ({"train_share": 0.5}, "must sum to 1"),
        ({"metric": "beauty"}, "metric='beauty'"),
        ({"label_column": "text"}, "different columns"),
        ({"resources": {"Trainr": None}}, "Trainr"),
        ({"infra_validator": "yes", "image": "example.com/image"}, "the pipeline is for a cluster"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    settings = fine_tune_settings(tmp_path, tmp_path / "rows.csv", tmp_path / "model")
    with pytest.raises(BadInputError, match="Received") as error:
        create_pipeline(dataclasses.replace(settings, **values))
    assert words in str(error.value)


@pytest.mark.parametrize(("wanted", "answers"), [("yes", True), ("yes", False), ("auto", True), ("auto", False)])
def test_a_container_judges_too_where_docker_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, answers: bool
) -> None:
    monkeypatch.setattr(fine_tune, "docker_answers", lambda: answers)
    settings = fine_tune_settings(tmp_path, tmp_path / "rows.csv", tmp_path / "model", infra_validator=wanted)
    if wanted == "yes" and not answers:
        with pytest.raises(BadInputError, match="no Docker daemon answers"):
            create_pipeline(settings)
        return
    nodes = {node.id: node for node in create_pipeline(settings).components}
    assert ("InfraValidator" in nodes) is answers
    assert ("infra_blessing" in nodes["ModelPusher"].inputs) is answers


def test_no_daemon_answers_at_an_address_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert fine_tune.docker_answers() is False
