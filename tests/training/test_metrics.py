import numpy as np
import pytest

from kerasbert.training import classification_metrics, majority_class, multi_label_metrics, regression_metrics
from kerasbert.training.metrics import confusion_matrix

LABELS = ["a", "b", "c", "d"]


@pytest.fixture
def ids():
    random = np.random.default_rng(1)
    targets = random.integers(0, 3, 200)  # "d" never occurs
    predictions = np.where(random.random(200) < 0.6, targets, random.integers(0, 4, 200))
    return targets, predictions


def test_classification_metrics_equal_those_of_scikit_learn(ids):
    reference = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in the extra `demo`")
    targets, predictions = ids
    metrics = classification_metrics(confusion_matrix(targets, predictions, 4), LABELS)
    every = {"labels": range(4), "zero_division": 0}
    assert metrics["accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    assert metrics["macro_f1"] == pytest.approx(reference.f1_score(targets, predictions, average="macro", **every))
    assert metrics["weighted_f1"] == pytest.approx(
        reference.f1_score(targets, predictions, average="weighted", **every)
    )
    assert metrics["confusion_matrix"] == reference.confusion_matrix(targets, predictions, labels=range(4)).tolist()
    columns = reference.precision_recall_fscore_support(targets, predictions, **every)
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert [metrics["per_label"][label][name] for label in LABELS] == pytest.approx(list(column))


def test_multi_label_metrics_equal_those_of_scikit_learn():
    reference = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in the extra `demo`")
    random = np.random.default_rng(2)
    targets, predictions = random.integers(0, 2, (50, 4)), random.integers(0, 2, (50, 4))
    targets[:, 3] = predictions[:, 3] = 0
    metrics = multi_label_metrics(targets, predictions, LABELS)
    for average in ("micro", "macro"):
        expected = reference.f1_score(targets, predictions, average=average, zero_division=0)
        assert metrics[f"{average}_f1"] == pytest.approx(expected)
    assert metrics["subset_accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    assert metrics["accuracy"] == pytest.approx((targets == predictions).mean())


def test_regression_metrics_equal_those_of_scipy():
    stats = pytest.importorskip("scipy.stats", reason="SciPy comes with the extra `demo`")
    random = np.random.default_rng(3)
    targets = random.integers(0, 6, 40).astype(float)  # with ties
    predictions = np.round(targets + random.normal(size=40), 1)
    metrics = regression_metrics(targets, predictions[:, None])
    assert metrics["pearson"] == pytest.approx(stats.pearsonr(targets, predictions)[0])
    assert metrics["spearman"] == pytest.approx(stats.spearmanr(targets, predictions)[0])
    assert metrics["mse"] == pytest.approx(((targets - predictions) ** 2).mean())
    assert metrics["mae"] == pytest.approx(np.abs(targets - predictions).mean())


def test_correlation_with_a_constant_is_zero():
    metrics = regression_metrics(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))
    assert (metrics["pearson"], metrics["spearman"]) == (0.0, 0.0)


def test_the_majority_class_is_that_of_the_training_rows():
    metrics = majority_class([2, 2, 1], [1, 1, 2], LABELS[:3])
    assert metrics["label"] == "c"
    assert metrics["accuracy"] == pytest.approx(1 / 3)
    assert metrics["macro_f1"] == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(("training", "held_out"), [([], [1]), ([1], [])])
def test_a_majority_needs_rows(training, held_out):
    with pytest.raises(ValueError, match="Received: "):
        majority_class(training, held_out, LABELS)
