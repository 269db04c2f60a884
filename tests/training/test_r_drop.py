"""R-Drop follows the published formula, for every problem type and for tokens."""

from typing import Any

import keras
import numpy as np
import pytest

from kerasbert.training import RDropLoss, classification_loss, compile_classifier, rows_twice

pytestmark = pytest.mark.backend


def divergence(p: Any, q: Any) -> Any:
    return (p * np.log(p / q) + q * np.log(q / p)).sum(-1)


def softmax(logits: Any) -> Any:
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 4)])
def test_both_answers_are_right_and_agree(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(2, *shape))
    labels, weights = random.integers(0, 4, shape[:-1]), random.integers(1, 3, shape[:-1]).astype("float32")
    p, q = softmax(logits)
    nll = -sum(np.log(np.take_along_axis(one, labels[..., None], -1)[..., 0]) for one in (p, q))
    paper = nll + 3.0 / 2 * divergence(p, q)  # equation 4 with alpha 3
    loss = RDropLoss(classification_loss("single_label_classification"), 3.0, "single_label_classification")
    batch = [np.array(each) for each in rows_twice(labels, weights)]
    ours = loss(batch[0], np.concatenate(logits).astype("float32"), batch[1])
    assert float(ours) == pytest.approx((paper * weights).sum() / weights.sum() / 2, rel=1e-5)


def test_labels_of_sigmoids_have_a_divergence_each() -> None:
    logits = np.random.default_rng(2).normal(size=(2, 3, 4))
    p, q = 1 / (1 + np.exp(-logits))
    expected = divergence(np.stack([p, 1 - p], -1), np.stack([q, 1 - q], -1)).mean(-1).mean()
    plain = classification_loss("multi_label_classification")
    targets, outputs = np.tile([[1.0, 0.0, 0.0, 1.0]], (6, 1)), np.concatenate(logits).astype("float32")
    loss = RDropLoss(plain, 2.0, "multi_label_classification")
    assert float(loss(targets, outputs)) - float(plain(targets, outputs)) == pytest.approx(expected / 2, rel=1e-4)


def test_without_dropout_the_loss_is_the_plain_one() -> None:
    inputs, labels = np.random.default_rng(3).normal(size=(4, 3)).astype("float32"), np.array([0, 1, 1, 0])
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    losses = []
    repeated = [np.array(each) for each in rows_twice(inputs, labels)]
    for weight, batch in ((0.0, [inputs, labels]), (5.0, repeated)):
        compile_classifier(model, "sgd", "single_label_classification", jit_compile=False, r_drop=weight)
        losses.append(model.test_on_batch(*batch)[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_the_loss_can_be_restored_from_its_config() -> None:
    loss = RDropLoss(classification_loss("regression"), 2.0, "regression")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    outputs = np.array([[1.0], [3.0]], "float32")
    assert float(again(np.zeros((2, 1)), outputs)) == pytest.approx(9.0)


@pytest.mark.parametrize("arguments", [(1.0, "ranking"), (-1.0, "regression"), (float("nan"), "regression")])
def test_what_is_no_weight_or_problem_type_is_refused(arguments: tuple[float, str]) -> None:
    with pytest.raises(ValueError, match="Received: "):
        RDropLoss(classification_loss("regression"), *arguments)
