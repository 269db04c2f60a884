import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.training import CandidateLoss, ClassWeightedLoss, MaskedLMLoss, classification_loss, next_sentence_loss

pytestmark = pytest.mark.backend


def softmax_cross_entropy(ids, logits):
    logits = np.float64(logits)
    return np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, ids[..., None], -1)[..., 0]


@pytest.fixture
def batch():
    random = np.random.default_rng(5)
    return random.integers(0, 7, (4, 3)), random.normal(size=(4, 3, 7)).astype("float32")


def test_masked_lm_loss_is_the_weighted_mean_over_the_batch(batch):
    ids, logits = batch
    weights = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], "float32")
    expected = (softmax_cross_entropy(ids, logits) * weights).sum() / (weights.sum() + 1e-5)
    assert float(MaskedLMLoss()(ids, logits, weights)) == pytest.approx(expected, rel=1e-6)


def test_masked_lm_loss_of_a_batch_without_mask_positions_is_zero(batch):
    ids, logits = batch
    assert float(MaskedLMLoss()(ids, logits, np.zeros((4, 3), "float32"))) == 0.0


def test_masked_lm_loss_without_weights_counts_every_position(batch):
    ids, logits = batch
    assert float(MaskedLMLoss()(ids, logits)) == pytest.approx(softmax_cross_entropy(ids, logits).mean(), rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_are_computed_in_float32(dtype):
    # 300 * 30,000 words overflow float16 and lose all digits in bfloat16 unless the sum is made in float32.
    logits = ops.cast(np.full((2, 300, 30), 60.0), dtype)
    loss = MaskedLMLoss()(np.zeros((2, 300), "int32"), logits, np.ones((2, 300), "float32"))
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == pytest.approx(np.log(30), rel=1e-5)
    loss = next_sentence_loss()(np.zeros(2, "int32"), logits[:, 0, :2])
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_next_sentence_loss_leaves_out_rows_of_weight_zero():
    labels, logits = np.array([0, 1, 1]), np.array([[1.0, 2.0], [0.0, 3.0], [9.0, -9.0]], "float32")
    expected = softmax_cross_entropy(labels, logits)[:2].mean()
    assert float(next_sentence_loss()(labels, logits, np.array([1.0, 1.0, 0.0]))) == pytest.approx(expected, rel=1e-5)


def test_multi_label_loss_is_the_mean_of_the_sigmoid_cross_entropies():
    targets, logits = np.array([[1.0, 0.0, 1.0]]), np.array([[2.0, -1.0, 0.5]], "float32")
    expected = np.mean(np.log1p(np.exp(np.float64(logits))) - logits * targets)
    loss = classification_loss("multi_label_classification")(targets, logits)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("targets", [np.array([1.0, 2.0]), np.array([[1.0], [2.0]])])
def test_regression_compares_row_with_row(targets):
    loss = classification_loss("regression")(targets, np.array([[1.5], [4.0]], "float32"))
    assert float(loss) == pytest.approx((0.25 + 4.0) / 2)


def test_an_unknown_problem_type_is_named():
    with pytest.raises(ValueError, match=r"Received: problem_type='ranking'"):
        classification_loss("ranking")


def test_the_masked_lm_loss_can_be_restored_from_its_config():
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(MaskedLMLoss(name="mine")))
    assert isinstance(loss, MaskedLMLoss)
    assert loss.name == "mine"


@pytest.mark.parametrize("weights", [None, [1.0, 3.0, 0.5, 1.0, 1.0, 2.0, 1.0]])
def test_smoothed_labels_share_a_part_of_the_target(batch, weights):
    ids, logits = batch
    log_probabilities = np.float64(logits) - np.log(np.exp(np.float64(logits)).sum(-1, keepdims=True))
    targets = 0.8 * np.eye(7)[ids] + 0.2 / 7
    expected = -(targets * log_probabilities).sum(-1) * (1.0 if weights is None else np.array(weights)[ids])
    plain = classification_loss("single_label_classification", label_smoothing=0.2)
    loss = plain if weights is None else ClassWeightedLoss(weights, label_smoothing=0.2)
    assert float(loss(ids, logits)) == pytest.approx(expected.mean(), rel=1e-5)
    token_weights = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], "float32")
    mean = (expected * token_weights).sum() / token_weights.sum()
    assert float(loss(ids, logits, token_weights)) == pytest.approx(mean, rel=1e-5)
    assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()


@pytest.mark.parametrize("is_weighted", [False, True])
def test_smoothed_labels_of_several_labels_move_towards_one_half(is_weighted):
    targets, logits = np.array([[1.0, 0.0, 1.0]], "float32"), np.array([[2.0, -1.0, 0.5]], "float32")
    weights = np.array([[1.0, 1.0, 2.0], [3.0, 1.0, 0.5]]) if is_weighted else np.ones((2, 3))
    losses = np.log1p(np.exp(np.float64(logits))) - logits * (0.8 * targets + 0.1)
    expected = (losses * np.where(targets > 0, weights[1], weights[0])).mean()
    plain = classification_loss("multi_label_classification", label_smoothing=0.2)
    loss = ClassWeightedLoss(weights, label_smoothing=0.2) if is_weighted else plain
    assert float(loss(targets, logits)) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_is_refused_where_there_are_no_labels():
    with pytest.raises(
        BadInputError, match=r"needs a task with labels\. Received: label_smoothing=0\.1 for regression"
    ):
        classification_loss("regression", label_smoothing=0.1)
    with pytest.raises(BadInputError, match=r"Received: label_smoothing=1\.0\. "):
        classification_loss("single_label_classification", label_smoothing=1.0)


def test_candidate_loss_is_the_cross_entropy_over_the_candidates_of_a_row():
    logits = np.array([[1.0, 2.0, 9.0], [0.5, -1.0, 3.0]], "float32")
    marks = np.array([[0, 1, -1], [1, 0, 0]])
    losses = [np.log(1 + np.exp(-1.0)), softmax_cross_entropy(np.array(0), logits[1])]
    assert float(CandidateLoss()(marks, logits)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_candidate_loss_is_unchanged_by_padding():
    marks, logits = np.array([[0, 1, 0]]), np.array([[1.0, 2.0, 3.0]], "float32")
    padded_marks, padded_logits = np.array([[0, 1, 0, -1, -1]]), np.array([[1.0, 2.0, 3.0, 50.0, 7.0]], "float32")
    assert float(CandidateLoss()(padded_marks, padded_logits)) == float(CandidateLoss()(marks, logits))
