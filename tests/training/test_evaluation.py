import itertools

import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertPretrainer
from kerasbert.training import adamw, compile_classifier, compile_pretrainer, evaluate_classifier, evaluate_pretrainer
from kerasbert.training.evaluation import CLASSIFIER_METRICS

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def pretrainer():
    keras.utils.set_random_seed(2)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=20, max_position_embeddings=8, initializer_range=0.5, **sizes)
    return BertPretrainer(BertBackbone.from_config(config))


def pretraining_batches(row_counts):
    """Return the same nine rows in batches of these sizes. Rows have 0 to 3 masked positions."""
    random = np.random.default_rng(4)
    inputs = {
        "token_ids": random.integers(1, 20, (9, 6)).astype("int32"),
        "segment_ids": np.zeros((9, 6), "int32"),
        "padding_mask": np.ones((9, 6), "int32"),
        "mask_positions": random.integers(0, 6, (9, 3)).astype("int32"),
    }
    labels = {
        "masked_lm": random.integers(0, 20, (9, 3)).astype("int32"),
        "next_sentence": random.integers(0, 2, 9).astype("int32"),
    }
    weights = {
        "masked_lm": (np.arange(3) < np.array([[3], [1], [0], [2], [3], [3], [1], [1], [0]])).astype("float32"),
        "next_sentence": np.ones(9, "float32"),
    }
    starts = np.cumsum([0, *row_counts])
    for start, stop in itertools.pairwise(starts):
        yield tuple({name: array[start:stop] for name, array in group.items()} for group in (inputs, labels, weights))


def test_pretraining_metrics_are_means_over_positions_and_rows(pretrainer):
    (inputs, labels, weights) = next(pretraining_batches([9]))
    outputs = {name: np.float64(ops.convert_to_numpy(value)) for name, value in pretrainer(inputs).items()}
    expected = {}
    for name, logits in outputs.items():
        probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        of_label = np.take_along_axis(probabilities, labels[name][..., None], -1)[..., 0]
        count = weights[name].sum()
        expected[f"{name}_loss"] = -(np.log(of_label) * weights[name]).sum() / count
        expected[f"{name}_accuracy"] = ((logits.argmax(-1) == labels[name]) * weights[name]).sum() / count
    expected["loss"] = expected["masked_lm_loss"] + expected["next_sentence_loss"]
    expected |= {"mask_positions": 14.0, "rows": 9.0}
    for row_counts in ([9], [4, 4, 1], [2, 1, 6]):
        metrics = evaluate_pretrainer(pretrainer, pretraining_batches(row_counts))
        assert metrics == pytest.approx(expected, rel=1e-5)


def test_the_compiled_pretrainers_running_metrics_are_the_same(pretrainer):
    compile_pretrainer(pretrainer, adamw(1e-3), jit_compile=False)
    inputs, labels, weights = next(pretraining_batches([9]))
    running = pretrainer.test_on_batch(inputs, labels, weights, return_dict=True)
    metrics = evaluate_pretrainer(pretrainer, pretraining_batches([9]))
    assert {name: float(value) for name, value in running.items()} == pytest.approx(
        {name: metrics[name] for name in running}, rel=1e-5
    )
    assert set(running) == {
        *("loss", "masked_lm_loss", "masked_lm_accuracy", "next_sentence_loss", "next_sentence_accuracy")
    }


@pytest.mark.parametrize("rows", [[], [(2, 3)]])
def test_data_without_anything_to_count_is_refused(pretrainer, rows):
    batches = []
    for first, last in rows:  # row 2 has no masked position
        ((inputs, labels, weights),) = list(pretraining_batches([9]))
        batches.append(tuple({k: v[first:last] for k, v in group.items()} for group in (inputs, labels, weights)))
    with pytest.raises(BadInputError, match=r"masked_lm\. Received: none"):
        evaluate_pretrainer(pretrainer, batches)


def fixed_logits(logits, problem_type=None):
    """Return a model whose output for row i is `logits[i]`."""
    inputs = keras.Input((), dtype="int32")
    table = keras.layers.Embedding(*np.shape(logits))
    model = keras.Model(inputs, table(inputs))
    table.embeddings.assign(np.asarray(logits, "float32"))
    if problem_type:
        model.problem_type = problem_type
    return model


def in_batches(targets, sizes):
    starts = np.cumsum([0, *sizes])
    rows = np.arange(len(targets), dtype="int32")
    return [(rows[a:b], targets[a:b]) for a, b in itertools.pairwise(starts)]


def test_single_label_metrics_over_uneven_batches():
    logits, targets = [[2.0, 0.0, 0.0], [0.0, 1.0, 3.0], [0.0, 4.0, 1.0], [1.0, 0.0, 0.0]], np.array([0, 1, 1, 2])
    metrics = evaluate_classifier(fixed_logits(logits), in_batches(targets, [3, 1]), labels=["a", "b", "c"])
    expected = np.mean([np.log(np.exp(row).sum()) - row[target] for row, target in zip(logits, targets, strict=True)])
    assert metrics["loss"] == pytest.approx(expected, rel=1e-6)
    assert metrics["accuracy"] == 0.5
    assert metrics["rows"] == 4
    assert metrics["confusion_matrix"] == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert metrics["per_label"]["b"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize("problem_type", CLASSIFIER_METRICS)
def test_a_task_has_the_metrics_of_the_table(problem_type):
    targets = {
        "single_label_classification": np.array([0, 1]),
        "multi_label_classification": np.array([[0, 1], [1, 1]]),
        "regression": np.array([[0.0, 1.0], [2.0, 3.0]]),
    }[problem_type]
    metrics = evaluate_classifier(fixed_logits([[0.0, 1.0], [1.0, 0.0]], problem_type), in_batches(targets, [2]))
    numbers = {name for name, value in metrics.items() if isinstance(value, float)}
    assert numbers == set(CLASSIFIER_METRICS[problem_type])


def test_multi_label_metrics_and_loss():
    logits, targets = np.array([[2.0, -1.0], [1.0, 3.0], [-100.0, 100.0]]), np.array([[1, 0], [0, 1], [0, 1]])
    model = fixed_logits(logits, "multi_label_classification")
    metrics = evaluate_classifier(model, in_batches(targets, [2, 1]), labels=["a", "b"])
    probabilities = 1 / (1 + np.exp(-logits[:2]))
    expected = -np.log(np.where(targets[:2] == 1, probabilities, 1 - probabilities)).sum() / 6
    assert metrics["loss"] == pytest.approx(expected, rel=1e-6)
    assert (metrics["accuracy"], metrics["subset_accuracy"]) == (pytest.approx(5 / 6), pytest.approx(2 / 3))
    assert metrics["micro_f1"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("column", [False, True])
def test_regression_metrics(column):
    targets = np.array([1.0, 2.0, 4.0], "float32")
    model = fixed_logits([[1.5], [2.0], [3.0]], "regression")
    metrics = evaluate_classifier(model, in_batches(targets[:, None] if column else targets, [2, 1]))
    assert metrics["loss"] == metrics["mse"] == pytest.approx((0.25 + 1) / 3)
    assert (metrics["mae"], metrics["spearman"]) == (pytest.approx(0.5), pytest.approx(1.0))


def test_a_label_number_outside_the_model_is_refused():
    with pytest.raises(BadInputError, match=r"from 0 to 1\. Received: 0 to 2"):
        evaluate_classifier(fixed_logits([[0.0, 1.0]] * 3), in_batches(np.array([0, 1, 2]), [3]))


def test_names_that_are_not_the_models_are_refused():
    with pytest.raises(ValueError, match=r"2 outputs\. Received: 3 names"):
        evaluate_classifier(fixed_logits([[0.0, 1.0]]), in_batches(np.array([0]), [1]), labels=["a", "b", "c"])


def test_an_empty_dataset_is_refused():
    with pytest.raises(BadInputError, match="at least one row"):
        evaluate_classifier(fixed_logits([[0.0, 1.0]]), [])


@pytest.mark.parametrize(
    ("problem_type", "targets", "names"),
    [
        ("single_label_classification", np.array([0, 1]), {"loss", "accuracy"}),
        ("multi_label_classification", np.array([[1, 0], [1, 1]]), {"loss", "accuracy"}),
        ("regression", np.array([[0.5, 1.0], [2.0, 3.0]]), {"loss", "mean_absolute_error"}),
    ],
)
def test_the_compiled_classifiers_running_metrics_are_those_of_the_evaluation(problem_type, targets, names):
    model = fixed_logits([[2.0, -1.0], [-1.0, 0.5]], problem_type)
    compile_classifier(model, adamw(1e-3), jit_compile=False)
    rows = np.arange(2, dtype="int32")
    running = model.test_on_batch(rows, targets, return_dict=True)
    metrics = evaluate_classifier(model, [(rows, targets)])
    metrics["mean_absolute_error"] = metrics.get("mae")
    assert set(running) == names
    for name in names:
        assert float(running[name]) == pytest.approx(metrics[name], rel=1e-5)


def test_a_model_without_a_problem_type_must_be_told():
    with pytest.raises(ValueError, match="Received: problem_type='None'"):
        compile_classifier(fixed_logits([[0.0, 1.0]]), adamw(1e-3))
