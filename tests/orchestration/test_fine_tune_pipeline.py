"""The fine-tuning pipeline from a table to a pushed model. For bad input, see test_fine_tune_bad_input.py."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_text  # noqa: F401 (registers the ops of the exported tokenizer)
from tfx.components.evaluator.constants import ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY
from tfx.orchestration import metadata
from tfx.orchestration.kubeflow.v2.container.kubeflow_v2_entrypoint_utils import refactor_model_blessing
from tfx.types.standard_artifacts import ModelBlessing

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, read_labelled
from kerasbert_pipelines.fine_tune import create_pipeline
from kerasbert_pipelines.local.run_local import run
from kerasbert_pipelines.local.run_summary import RunSummary
from kerasbert_tfx.evaluation.evaluation_views import length_class
from kerasbert_tfx.records.labelled_records import Columns, read_rows

from .labelled_tables import FINE_TUNE_COMPONENTS, TOPICS, FineTuned, auc_and_its_bound

AFTER_TRAINING = {"ComparingEvaluator", "SkewCheck", "ModelPusher"}
FileHashes = Callable[[Path], dict[str, str]]


def executed(summary: RunSummary) -> set[str]:
    return {name for name, state in summary.states.items() if state != "cached"}


def rows_of(summary: RunSummary, split: str) -> LabelledTexts:
    examples = summary["LabelledExampleGen"].outputs["examples"]
    return read_rows([f"{examples}/Split-{split}/*"], Columns(), split)


def test_a_table_becomes_a_pushed_model(fine_tuned: FineTuned) -> None:
    settings, summary = fine_tuned
    assert summary.states == dict.fromkeys(FINE_TUNE_COMPONENTS, "done")
    assert summary.blessed is True
    assert sum(summary["LabelledExampleGen"].metrics[f"{split}_rows"] for split in ("train", "eval", "test")) == 300
    pushed = Path(summary.pushed_to or "")
    assert pushed.parent == Path(settings.push_folder)
    kept = Path(summary["Trainer"].outputs["model_run"])
    loaded = checkpoints.load(kept / "model")
    assert loaded.labels == tuple(sorted(TOPICS))
    assert list(kept.rglob("tensorboard/**/events.*"))
    assert not list(Path(settings.pipeline_root, "Trainer", "unfinished").iterdir())

    # The splits equal those of the library, and the exported model's answers equal those of the model in memory.
    shares = {"train": 0.7, "eval": 0.1, "test": 0.2}
    expected = read_labelled(settings.data).split(shares)
    for split in shares:
        assert sorted(rows_of(summary, split).texts) == sorted(expected[split].texts)
    test = rows_of(summary, "test")
    served = tf.saved_model.load(str(pushed))
    answer = served.signatures["serving_default"](text=tf.constant(test.texts))
    logits = loaded.model(loaded.text_to_inputs(list(test.texts)), training=False)
    np.testing.assert_allclose(answer["logits"], logits, atol=1e-5)


def test_the_metrics_equal_those_of_scikit_learn(fine_tuned: FineTuned) -> None:
    _, summary = fine_tuned
    rows = rows_of(summary, "test")
    served = tf.saved_model.load(summary.pushed_to)
    answer = served.signatures["serving_default"](text=tf.constant(rows.texts))
    labels = sorted(TOPICS)
    # The probabilities that the evaluation uses, in the order of the label names.
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
    """Returns slice -> value of one metric."""
    found = {}
    for part in tfma.load_metrics(evaluation):
        for key in part.slice_key.single_slice_keys:
            for metric in part.metric_keys_and_values:
                if metric.key.name == name:
                    found[key.column, key.bytes_value.decode()] = metric.value.double_value.value
    return found


def test_unchanged_components_are_cached_and_a_change_runs_only_what_depends_on_it(
    fine_tuned: FineTuned, file_hashes: FileHashes
) -> None:
    settings, _ = fine_tuned
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
    check_ids(worse["ComparingEvaluator"].outputs["blessing"], settings.metadata_path)
    assert file_hashes(Path(settings.push_folder)) == pushed


def check_ids(blessing: str, metadata_path: str) -> None:
    """Checks that a container's entry point, which knows only the ids of the step's inputs, can write the blessing."""
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(metadata_path)) as handle:
        (stored,) = handle.store.get_artifacts_by_uri(blessing)
    artifact = ModelBlessing()
    artifact.set_mlmd_artifact(stored)
    candidate = artifact.get_int_custom_property(ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)
    refactor_model_blessing(artifact, {candidate: "candidate"})
    assert artifact.get_string_custom_property(ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY) == "candidate"


@pytest.mark.slow
def test_a_model_is_evaluated_and_pushed_again_if_the_pushed_models_have_changed(
    fine_tuned: FineTuned, tmp_path: Path
) -> None:
    settings, _ = fine_tuned
    settings = dataclasses.replace(settings, push_folder=str(tmp_path / "pushed"))
    pushed = Path(run(create_pipeline, settings).pushed_to or "")
    shutil.rmtree(pushed)
    again = run(create_pipeline, settings)
    assert executed(again) == {"ModelPusher"}
    assert Path(again.pushed_to or "", "saved_model.pb").is_file()
    # If someone else has pushed a model in the meantime, the next candidate is compared with that model.
    newer = tmp_path / "pushed" / "9999999999"
    shutil.copytree(again.pushed_to or "", newer)
    (newer / "assets.extra" / "note").write_text("another")
    compared = run(create_pipeline, settings)
    assert executed(compared) == {"ComparingEvaluator", "ModelPusher"}
    assert compared["ComparingEvaluator"].baseline == str(newer)
    assert "baseline_accuracy" in compared["ComparingEvaluator"].metrics
