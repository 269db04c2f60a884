"""Metrics of the fine-tuning pipeline: views pair predictions with labels, and results equal scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics
import tensorflow_model_analysis as tfma

from kerasbert.training.metrics import classification_metrics, confusion_matrix, multi_label_metrics
from kerasbert_tfx.evaluation.classification_metrics import F1OverLabels
from kerasbert_tfx.evaluation.evaluation_views import custom_extractors, label_order, length_class, with_views
from kerasbert_tfx.evaluation.ranking_metrics import AUCOverDecisions, log_odds_steps

MULTI = "multi_label_classification"


def answer_for(probabilities: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Returns an exported classifier's answer for one row."""
    order = np.argsort(-probabilities, kind="stable")
    best = np.array([names[index].encode() for index in order])
    return {
        "label": best[0],
        "probability": probabilities[order][0],
        "labels": best,
        "probabilities": probabilities[order],
        "logits": np.log(probabilities),
    }


def test_views_use_the_candidates_label_order_for_every_model() -> None:
    names = ["10", "9", "b"]
    extracts = {
        "features": {"text": np.array([b"one two three"]), "label": np.array([b"b"])},
        "labels": np.array([b"b"]),
        "predictions": {
            "candidate": answer_for(np.array([0.2, 0.1, 0.7]), names),
            "baseline": answer_for(np.array([0.4, 0.6]), ["b", "old"]),
        },
    }
    views = ["best_class", "class_probabilities"]
    result = with_views(extracts, views, "label", ["candidate", "baseline"], "candidate")
    assert label_order(extracts["predictions"]["candidate"]) == ("9", "10", "b")
    assert result["labels"]["candidate"]["class_probabilities"].tolist() == [2]
    assert result["predictions"]["candidate"]["class_probabilities"].tolist() == [0.1, 0.2, 0.7]
    assert result["predictions"]["baseline"]["class_probabilities"].tolist() == [0.0, 0.0, 0.4]
    assert result["labels"]["candidate"]["best_class"].tolist() == [1.0]
    assert result["labels"]["baseline"]["best_class"].tolist() == [0.0]
    assert result["features"]["text_length"].tolist() == ["0-8 words"]
    assert "text_length" not in extracts["features"]


@pytest.mark.parametrize(
    ("words", "expected"), [(0, "0-8 words"), (8, "0-8 words"), (9, "9-16 words"), (129, "129 words and more")]
)
def test_rows_are_sliced_by_length_class(words: int, expected: str) -> None:
    assert length_class(["word " * words]) == expected


def test_views_are_computed_before_rows_are_sliced() -> None:
    config = tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key="label")],
        metrics_specs=[tfma.MetricsSpec(output_names=["best_class"])],
        slicing_specs=[tfma.SlicingSpec()],
    )
    stages = [extractor.stage_name for extractor in custom_extractors(None, config, None)]
    assert stages.index("ExtractViews") + 1 == stages.index("ExtractSliceKeys")


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_f1_equals_the_value_in_training(multi_label: bool, average: str) -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.random((40, 5))
    if multi_label:
        targets = (rng.random((40, 5)) < 0.3).astype(float)
        expected = multi_label_metrics(targets, probabilities > 0.5, list("abcde"))
    else:
        targets = rng.integers(0, 4, (40, 1))  # the last label has no row
        confusion = confusion_matrix(targets[:, 0], probabilities.argmax(axis=1), 5)
        expected = {**classification_metrics(confusion, list("abcde"))}
        expected["micro_f1"] = expected["accuracy"]
    value = combined(F1OverLabels(f"{average}_f1", average, multi_label), targets, probabilities)
    if f"{average}_f1" in expected:
        assert value == pytest.approx(expected[f"{average}_f1"])
    else:
        assert 0 < value < 1


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("sureness", [0.3, 3, 10, 40, 200])
def test_the_area_under_the_curve_equals_scikit_learns_for_confident_models(multi_label: bool, sureness: float) -> None:
    rng = np.random.default_rng(5)
    for rows, labels in ((40, 3), (60, 2), (30, 77)) * 5:
        right = rng.integers(0, labels, rows)
        logits = sureness * (rng.normal(size=(rows, labels)) + 1.2 * np.eye(labels)[right])
        if multi_label:
            probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
            targets = np.maximum(np.eye(labels)[right], rng.random((rows, labels)) < 0.2)
        else:
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
            targets = right[:, None]
        flags = targets if multi_label else np.eye(labels)[right]
        value = combined(AUCOverDecisions(multi_label=multi_label), targets, probabilities)
        expected = sklearn.metrics.roc_auc_score(flags.ravel(), probabilities.ravel())
        assert value == pytest.approx(expected, abs=1e-3)
        # On scores that are rounded to the steps of the log-odds, the value is exact.
        steps = log_odds_steps(probabilities)
        assert value == pytest.approx(sklearn.metrics.roc_auc_score(flags.ravel(), steps.ravel()), abs=1e-12)


def test_the_area_under_the_curve_is_nan_without_both_classes() -> None:
    probabilities = np.array([[0.2, 0.8]])
    assert np.isnan(combined(AUCOverDecisions(multi_label=True), np.array([[1, 1]]), probabilities))
    assert np.isnan(combined(AUCOverDecisions(), np.array([[-1]]), probabilities))


def combined(metric: tfma.metrics.Metric, targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Computes a metric over rows that are split among three workers."""
    (computation,) = metric.computations(output_names=["view"])
    combiner = computation.combiner
    parts = []
    for part in np.array_split(np.arange(len(targets)), 3):
        accumulator = combiner.create_accumulator()
        for row in part:
            inputs = tfma.metrics.StandardMetricInputs(
                label={"view": targets[row]}, prediction={"view": probabilities[row]}
            )
            combiner.add_input(accumulator, inputs)
        parts.append(accumulator)
    (value,) = combiner.extract_output(combiner.merge_accumulators(parts)).values()
    return float(value)
