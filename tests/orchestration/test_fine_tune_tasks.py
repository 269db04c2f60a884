"""The fine-tuning pipeline on every task, with hyperparameter search, bulk inference, and a kill during training."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the ops of the exported tokenizer)

from kerasbert import checkpoints
from kerasbert.training.entity_metrics import spans
from kerasbert_pipelines.fine_tune import create_pipeline
from kerasbert_pipelines.local.run_local import run
from kerasbert_pipelines.local.run_summary import RunSummary
from kerasbert_tfx.records.labelled_records import Columns, read_examples, read_rows

from .labelled_tables import (
    TOPICS,
    auc_and_its_bound,
    fine_tune_settings,
    save_tiny_model,
    sentence,
    topic_rows,
    write_table,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, preprocessing: Path) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("start") / "model", preprocessing)


def held_out_rows(summary: RunSummary, columns: Columns) -> Any:
    examples = summary["LabelledExampleGen"].outputs["examples"]
    return read_rows([f"{examples}/Split-test/*"], columns, "test")


def answers(summary: RunSummary, *texts: tuple[str, ...]) -> dict[str, np.ndarray]:
    served = tf.saved_model.load(summary.pushed_to)
    if len(texts) == 2:
        given = {"text": tf.constant(texts[0]), "text_pair": tf.constant(texts[1])}
        return {name: value.numpy() for name, value in served.signatures["text_pair"](**given).items()}
    return {
        name: value.numpy() for name, value in served.signatures["serving_default"](text=tf.constant(texts[0])).items()
    }


def inferred(summary: RunSummary) -> list[tf.train.Example]:
    """Returns the rows that bulk inference wrote."""
    folder = summary["BulkInferrer"].outputs["output_examples"]
    return list(read_examples([f"{folder}/Split-unlabelled/*"]))


def test_multi_label_classification(tmp_path: Path, start: Path) -> None:
    rng = random.Random(3)
    rows = []
    for _ in range(300):
        topics = [topic for topic in TOPICS if rng.random() < 0.5]
        rows.append((sentence((topics or ["food"]) * 2, rng), ";".join(topics)))
    write_table(tmp_path / "bare.csv", ("text",), [[text] for text, _ in rows[:20]])
    settings = fine_tune_settings(
        tmp_path,
        write_table(tmp_path / "rows.csv", ("text", "label"), rows),
        start,
        task="multi_label_classification",
        bulk_inference=str(tmp_path / "bare.csv"),
        serving_precision="int8",  # All that follows is about the exported model.
    )
    summary = run(create_pipeline, settings)
    assert summary.blessed is True
    card = json.loads((Path(summary.pushed_to) / "assets" / "model_card.json").read_text())
    assert card["model"]["precision"]["name"] == "int8"
    columns = Columns(task="multi_label_classification")
    test = held_out_rows(summary, columns)
    true = test.targets(test.label_names())
    probabilities = tf.nn.sigmoid(answers(summary, test.texts)["logits"]).numpy()
    metrics = summary["ComparingEvaluator"].metrics
    assert metrics["accuracy"] == pytest.approx(((probabilities > 0.5) == true).mean())
    for average in ("micro", "macro", "weighted"):
        expected = sklearn.metrics.f1_score(true, probabilities > 0.5, average=average, zero_division=0)
        assert metrics[f"{average}_f1"] == pytest.approx(expected)
    assert metrics["auc"] == pytest.approx(*auc_and_its_bound(true, probabilities))
    assert metrics["calibration"] == pytest.approx(probabilities.sum() / true.sum(), rel=1e-5)

    found = inferred(summary)
    assert len(found) == 20
    for example in found:
        features = example.features.feature
        answer = answers(summary, (features["text"].bytes_list.value[0].decode(),))
        assert list(features["labels"].bytes_list.value) == answer["labels"][0].tolist()
        np.testing.assert_allclose(features["probabilities"].float_list.value, answer["probabilities"][0], atol=1e-6)


def test_regression(tmp_path: Path, start: Path) -> None:
    rng = random.Random(4)
    rows = []
    for _ in range(300):
        topics = [rng.choice(TOPICS) for _ in range(6)]
        rows.append((sentence(topics, rng), topics.count("animals") / 6))
    write_table(tmp_path / "bare.tsv", ("sentence",), [[text] for text, _ in rows[:20]])
    settings = fine_tune_settings(
        tmp_path,
        write_table(tmp_path / "rows.tsv", ("sentence", "score"), rows),
        start,
        task="regression",
        text_column="sentence",
        label_column="score",
        bulk_inference=str(tmp_path / "bare.tsv"),
    )
    summary = run(create_pipeline, settings)
    test = held_out_rows(summary, Columns(text="sentence", label="score", task="regression"))
    true, found = np.array(test.labels), answers(summary, test.texts)["prediction"]
    metrics = summary["ComparingEvaluator"].metrics
    assert metrics["mean_squared_error"] == pytest.approx(((true - found) ** 2).mean(), rel=1e-4)
    assert metrics["mean_absolute_error"] == pytest.approx(np.abs(true - found).mean(), rel=1e-4)
    assert metrics["squared_pearson_correlation"] == pytest.approx(np.corrcoef(true, found)[0, 1] ** 2, rel=1e-3)
    worse = run(create_pipeline, dataclasses.replace(settings, learning_rate=1e-9, epochs=1))
    assert worse.blessed is False
    assert worse.pushed_to is None
    for example in inferred(summary):
        features = example.features.feature
        answer = answers(summary, (features["sentence"].bytes_list.value[0].decode(),))
        assert features["prediction"].float_list.value[0] == pytest.approx(float(answer["prediction"][0]), abs=1e-6)


def test_pairs_with_hyperparameter_search_and_bulk_inference(tmp_path: Path, start: Path) -> None:
    rng = random.Random(5)
    rows = []
    for _ in range(300):
        one, two = rng.choice(TOPICS), rng.choice(TOPICS)
        rows.append((sentence([one] * 3, rng), sentence([two] * 3, rng), "same" if one == two else "different"))
    write_table(tmp_path / "bare.csv", ("one", "two"), [row[:2] for row in rows[:20]])
    settings = fine_tune_settings(
        tmp_path,
        write_table(tmp_path / "rows.csv", ("one", "two", "label"), rows),
        start,
        text_column="one",
        pair_column="two",
        epochs=1,
        tune=True,
        tuner_trials=2,
        bulk_inference=str(tmp_path / "bare.csv"),
    )
    summary = run(create_pipeline, settings)
    test = held_out_rows(summary, Columns(text="one", pair="two"))
    best = [answer[0].decode() for answer in answers(summary, test.texts, test.pairs)["labels"]]
    expected = sklearn.metrics.accuracy_score(test.labels, best)
    assert summary["ComparingEvaluator"].metrics["accuracy"] == pytest.approx(expected)

    tuned = Path(summary["Tuner"].outputs["best_hyperparameters"], "best_hyperparameters.txt")
    values = json.loads(tuned.read_text())["values"]
    trained = json.loads(Path(summary["Trainer"].outputs["model_run"], "settings.json").read_text())["settings"]
    assert {name: trained[name] for name in ("learning_rate", "batch_size", "dropout")} == {
        name: values[name] for name in ("learning_rate", "batch_size", "dropout")
    }
    found = inferred(summary)
    assert len(found) == 20
    for example in found:
        features = example.features.feature
        pair = tuple((features[name].bytes_list.value[0].decode(),) for name in ("one", "two"))
        assert features["labels"].bytes_list.value[0] == answers(summary, *pair)["labels"][0, 0]


def test_token_classification(tmp_path: Path, start: Path) -> None:
    rng = random.Random(6)
    lines = []
    for number in range(300):
        # Some texts are longer than the model's 32 tokens. The entities that are cut off count as missed.
        for _ in range(25 if number % 10 == 0 else rng.randint(3, 6)):
            topic = rng.choice(TOPICS)
            if topic == "food":
                lines.append(f"{sentence(['food'], rng)[4:-1]} O")
            else:
                first, second = (sentence([topic], rng)[4:-1] for _ in range(2))
                lines += ["the O", f"{first} B-{topic}", f"{second} I-{topic}"]
        lines.append("")
    (tmp_path / "rows.conll").write_text("\n".join(lines) + "\n")
    settings = fine_tune_settings(
        tmp_path,
        tmp_path / "rows.conll",
        start,
        task="token_classification",
        text_column="tokens",
        label_column="tags",
    )
    summary = run(create_pipeline, settings)
    assert summary.blessed is True
    test = held_out_rows(summary, Columns(text="tokens", label="tags", task="token_classification"))
    answer = answers(summary, test.texts)
    hits = found = true = 0
    for row, (words, tags) in enumerate(zip(test.words, test.tags, strict=True)):
        text = " ".join(words)
        wanted = {(" ".join(words[first:last]), kind) for first, last, kind in spans(list(tags))}
        count = answer["entity_count"][row]
        got = {
            (text.encode()[start:end].decode(), kind.decode())
            for start, end, kind in zip(
                answer["starts"][row][:count], answer["ends"][row][:count], answer["labels"][row][:count], strict=True
            )
        }
        hits, found, true = hits + len(wanted & got), found + len(got), true + len(wanted)
    metrics = summary["ComparingEvaluator"].metrics
    # This count merges an entity whose words occur twice in one text. That is rare in this data, hence the tolerance.
    assert metrics["micro_f1"] == pytest.approx(2 * hits / (found + true), abs=0.03)
    assert metrics["micro_f1"] > 0.5
    assert metrics["micro_f1"] == pytest.approx(summary["Trainer"].metrics["entity_f1"], abs=0.03)


def test_fine_tuning_from_random_weights_on_records(tmp_path: Path, preprocessing: Path) -> None:
    records = tmp_path / "rows"
    records.mkdir()
    for part in range(2):
        with tf.io.TFRecordWriter(str(records / f"{part}.tfrecord")) as writer:
            for text, label in topic_rows(100, seed=part):
                example = tf.train.Example()
                example.features.feature["text"].bytes_list.value.append(text.encode())
                example.features.feature["label"].int64_list.value.append(TOPICS.index(label))
                writer.write(example.SerializeToString())
    config = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 38, "max_position_embeddings": 32}))
    settings = fine_tune_settings(
        tmp_path,
        records,
        tmp_path,
        start_from=None,
        vocabulary=str(preprocessing / "vocab.txt"),
        model=str(tmp_path / "config.json"),
        test_share=0.0,
        validation_share=0.3,
    )
    summary = run(create_pipeline, settings)
    assert summary.blessed is True
    labels = json.loads(Path(summary.pushed_to or "", "assets", "labels.json").read_text())
    assert labels == ["0", "1", "2"]


@pytest.mark.parametrize("prefix", ["", "bert_model.ckpt"])
def test_fine_tuning_starts_from_a_google_checkpoint(tmp_path: Path, start: Path, prefix: str) -> None:
    loaded = checkpoints.load(start)
    google = checkpoints.save(loaded.model, tmp_path / "google", loaded.text_to_inputs, format="google_tf1")
    rows = write_table(tmp_path / "rows.csv", ("text", "label"), topic_rows(300))
    settings = fine_tune_settings(tmp_path, rows, google / prefix, learning_rate=1e-9, epochs=1, min_metric=0.0)
    summary = run(create_pipeline, settings)
    assert summary.blessed is True
    # With a learning rate near 0, the trained encoder still equals the checkpoint's.
    trained = checkpoints.load_backbone(Path(summary["Trainer"].outputs["model_run"], "model"))
    for weight, expected in zip(trained.model.get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_a_killed_run_resumes(tmp_path: Path, start: Path) -> None:
    rows = write_table(tmp_path / "rows.csv", ("text", "label"), topic_rows(300))
    settings = fine_tune_settings(tmp_path, rows, start, epochs=100, checkpoint_every=20, log_every=20)
    arguments = [
        f"--set={name}={json.dumps(value)}"
        for name, value in dataclasses.asdict(settings).items()
        if value not in (None, {}, ()) and not isinstance(value, tuple)
    ]
    command = [sys.executable, "-m", "kerasbert", "pipeline", "run", "fine-tune", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 300
    while not list(Path(settings.pipeline_root).glob("Trainer/unfinished/*/checkpoints/*")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not Path(settings.push_folder).exists()
    summary = run(create_pipeline, settings)
    assert summary.states["DataCheck"] == "cached"
    assert summary.states["Trainer"] == "done"
    history = Path(summary["Trainer"].outputs["model_run"], "history.jsonl").read_text()
    assert history.count('"step": 20,') == 1
    assert summary.pushed_to is not None
