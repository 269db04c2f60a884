"""Class weights weigh the loss, as scikit-learn computes them, and leave the metrics alone."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.training import ClassWeightedLoss, adamw, class_weights, compile_classifier, evaluate_classifier

pytestmark = pytest.mark.backend

LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0], [0.5, -4.0, 1.0]], "float32")


def cross_entropies(ids):
    return np.log(np.exp(LOGITS).sum(axis=1)) - LOGITS[np.arange(3), ids]


def test_balanced_weights_are_those_of_scikit_learn():
    utils = pytest.importorskip("sklearn.utils.class_weight", reason="scikit-learn is not installed")
    ids = np.repeat([0, 1, 2], [7, 2, 1])
    expected = utils.compute_class_weight("balanced", classes=np.arange(3), y=ids)
    np.testing.assert_allclose(class_weights("balanced", ids, ["a", "b", "c"]), expected, rtol=1e-6)
    several = np.stack([ids == 0, ids == 2], axis=1).astype("float32")
    columns = [utils.compute_class_weight("balanced", classes=np.arange(2), y=column) for column in several.T]
    weights = class_weights("balanced", several, ["a", "b"], "multi_label_classification")
    np.testing.assert_allclose(weights, np.stack(columns, axis=1), rtol=1e-6)


def test_balanced_weights_of_words_ignore_pieces_without_a_label():
    table = np.array([[0, 0, 1, -1], [0, -1, -1, -1]])
    np.testing.assert_allclose(class_weights("balanced", table, ["O", "B"]), [4 / 6, 2.0], rtol=1e-6)
    np.testing.assert_allclose(class_weights("balanced", table, ["O", "B", "unused"]), [4 / 6, 2.0, 1.0], rtol=1e-6)


def test_a_dict_weighs_the_labels_that_it_names():
    ids = np.array([0, 1])
    assert class_weights({"b": 3}, ids, ["a", "b"]).tolist() == [1.0, 3.0]
    several = class_weights({"b": 3}, np.eye(2), ["a", "b"], "multi_label_classification")
    assert several.tolist() == [[1.0, 1.0], [1.0, 3.0]]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("uneven", r'must be "balanced" or a weight for each label.*Received: class_weights=\'uneven\''),
        ({"c": 1.0}, r"must name labels of the training rows\. Received: c\. The labels are: a, b"),
        ({"a": 0}, r"greater than 0\. Received: 0 for the label 'a'"),
        ({"a": float("inf")}, "finite number"),
        ({"a": "much"}, "Received: 'much'"),
    ],
)
def test_impossible_weights_are_refused(weights, message):
    with pytest.raises(BadInputError, match=message):
        class_weights(weights, np.array([0, 1]), ["a", "b"])


def test_regression_has_no_class_weights():
    with pytest.raises(ValueError, match="Received: problem_type='regression'"):
        class_weights("balanced", np.zeros(3), ["a"], "regression")


def test_the_loss_of_a_row_is_multiplied_by_its_labels_weight():
    ids, weights = np.array([0, 2, 1]), np.array([1.0, 5.0, 0.5])
    loss = ClassWeightedLoss(weights)
    expected = (cross_entropies(ids) * weights[ids]).mean()
    assert float(loss(ids, LOGITS)) == pytest.approx(expected, rel=1e-5)
    of_rows = np.array([1.0, 0.0, 2.0], "float32")
    expected = (cross_entropies(ids) * weights[ids] * of_rows).sum() / 3
    assert float(loss(ids, LOGITS, of_rows)) == pytest.approx(expected, rel=1e-5)
    tokens = float(loss(ids[None], LOGITS[None], of_rows[None]))
    assert tokens == pytest.approx(expected, rel=1e-5)


def test_the_multi_label_loss_weighs_each_label_of_a_row():
    targets = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]], "float32")
    weights = np.array([[1.0, 0.5, 2.0], [3.0, 10.0, 1.0]], "float32")
    each = np.logaddexp(0.0, LOGITS) - LOGITS * targets
    expected = (each * np.where(targets == 1, weights[1], weights[0])).mean()
    assert float(ClassWeightedLoss(weights)(targets, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_equal_weights_change_nothing():
    ids = np.array([0, 2, 1])
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(ClassWeightedLoss(np.ones(3))(ids, LOGITS)) == pytest.approx(float(plain(ids, LOGITS)), rel=1e-6)


def test_the_loss_can_be_restored_from_its_config():
    loss = ClassWeightedLoss([1.0, 2.0])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert again.get_config()["class_weights"] == [1.0, 2.0]


def imbalanced_rows():
    """90 rows of label 0 and 10 of label 1, which no model can tell apart."""
    return np.ones((100, 1), "float32"), np.repeat([0, 1], [90, 10])


def new_model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    model.problem_type = "single_label_classification"
    return model


@pytest.mark.parametrize(("weights", "share"), [(None, 0.1), ("balanced", 0.5), ({"rare": 3.0}, 0.25)])
def test_training_gives_labels_the_shares_that_the_weights_ask_for(weights, share):
    inputs, ids = imbalanced_rows()
    array = None if weights is None else class_weights(weights, ids, ["common", "rare"])
    for answer, is_optimum in ((share, True), (share + 0.05, False)):
        model = new_model()
        compile_classifier(model, keras.optimizers.SGD(1.0), class_weights=array, jit_compile=False)
        model.layers[-1].bias.assign([np.log(1 - answer), np.log(answer)])
        before = ops.convert_to_numpy(model.layers[-1].bias)
        model.train_on_batch(inputs, ids)
        after = ops.convert_to_numpy(model.layers[-1].bias)
        assert np.allclose(before, after, atol=1e-5) == is_optimum


def test_metrics_count_every_row_once():
    inputs, ids = imbalanced_rows()
    model = new_model()
    weights = class_weights("balanced", ids, ["common", "rare"])
    compile_classifier(model, adamw(1e-9), class_weights=weights, jit_compile=False)
    model.layers[-1].bias.assign([1.0, 0.0])  # always answers "common"
    running = model.train_on_batch(inputs, ids, return_dict=True)
    assert float(running["accuracy"]) == pytest.approx(0.9)
    metrics = evaluate_classifier(model, [(inputs, ids)])
    assert metrics["accuracy"] == pytest.approx(0.9)
    plain = (90 * np.log1p(np.exp(-1.0)) + 10 * np.log1p(np.exp(1.0))) / 100
    assert metrics["loss"] == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "problem_type"),
    [([1.0, 2.0], "multi_label_classification"), ([1.0], "regression"), (np.ones((2, 2)), None)],
)
def test_weights_that_do_not_fit_the_task_are_refused(weights, problem_type):
    with pytest.raises(ValueError, match=r"`class_weights` must have.*Received: shape="):
        compile_classifier(new_model(), adamw(1e-3), problem_type, class_weights=weights)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_the_effective_number_of_rows_follows_the_published_formula(beta):
    counts = np.array([1, 20, 300])
    targets = np.repeat(np.arange(3), counts)
    published = (1 - beta) / (1 - beta**counts)  # equation 12, without its scale
    weights = class_weights("balanced", targets, ["a", "b", "c"], beta=beta)
    np.testing.assert_allclose(weights / weights[0], published / published[0])
    assert weights[targets].mean() == pytest.approx(1.0)
    near = class_weights("balanced", targets, ["a", "b", "c"], beta=1 - 1e-9)
    np.testing.assert_allclose(near, class_weights("balanced", targets, ["a", "b", "c"]), rtol=1e-5)


@pytest.mark.parametrize(("weights", "beta"), [("balanced", 1.5), ({"a": 2.0}, 0.9)])
def test_a_beta_that_has_no_use_is_refused(weights, beta):
    with pytest.raises(BadInputError, match=rf"Received: class_weights_beta={beta}"):
        class_weights(weights, np.array([0, 1]), ["a", "b"], beta=beta)
