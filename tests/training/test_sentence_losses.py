"""Each loss is its formula, written as loops in NumPy, and gives sentence-transformers' numbers and gradients."""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.layers import PairFeatures
from kerasbert.training import sentence_losses as losses

pytestmark = pytest.mark.backend

HERE = Path(__file__).parent
THEIRS = json.loads((HERE / "sentence_transformers_numbers.json").read_text())
_spec = importlib.util.spec_from_file_location("record_sentence_losses", HERE / "record_sentence_losses.py")
_record = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_record)
EXAMPLE = _record.example()


def unit(vector):
    return vector / np.linalg.norm(vector)


def cosine(one, two):
    return float(unit(one) @ unit(two))


def softplus_all(terms):
    return np.log1p(np.sum(np.exp(terms)))


def softmax_loss(labels, vectors):
    features = PairFeatures()(vectors)
    logits = ops.matmul(features, EXAMPLE["weight"].T) + EXAMPLE["bias"]
    return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))


# Name -> (our loss, texts of a row, labels).
CASES = {
    "cosine_similarity": (losses.CosineSimilarityLoss(), 2, "scores"),
    "cosent": (losses.CoSENTLoss(), 2, "scores"),
    "angle": (losses.AnglELoss(), 2, "scores"),
    "contrastive": (losses.ContrastiveLoss(), 2, "similar"),
    "online_contrastive": (losses.OnlineContrastiveLoss(), 2, "similar"),
    "triplet": (losses.TripletLoss(), 3, "scores"),
    "triplet_hard": (losses.BatchTripletLoss("hard"), 1, "classes"),
    "triplet_hard_cosine": (losses.BatchTripletLoss("hard", 0.3, "cosine"), 1, "classes"),
    "triplet_all": (losses.BatchTripletLoss("all", 1.0), 1, "classes"),
    "triplet_semi_hard": (losses.BatchTripletLoss("semi_hard", 1.0), 1, "classes"),
    "ranking": (losses.MultipleNegativesRankingLoss(), 4, "scores"),
    "ranking_symmetric": (losses.MultipleNegativesRankingLoss(is_symmetric=True), 4, "scores"),
    "margin_mse": (losses.MarginMSELoss(), 4, "margins"),
    "margin_mse_scores": (losses.MarginMSELoss(), 4, "teacher_scores"),
    "mse": (losses.VectorMSELoss(), 2, "teacher_vectors"),
    "distill_kl": (losses.DistillKLLoss(temperature=2.0), 4, "teacher_scores"),
    "matryoshka": (
        losses.MatryoshkaLoss(losses.MultipleNegativesRankingLoss(), [6, 4, 2], [1.0, 0.5, 0.25]),
        3,
        "scores",
    ),
    "softmax": (softmax_loss, 2, "classes"),
}


def value_and_gradient(loss, labels, vectors):
    if keras.backend.backend() == "jax":
        import jax

        return jax.value_and_grad(lambda values: loss(labels, values))(ops.convert_to_tensor(vectors))
    import tensorflow as tf

    values = tf.constant(vectors)
    with tf.GradientTape() as tape:
        tape.watch(values)
        value = loss(labels, values)
    return value, tape.gradient(value, values)


@pytest.mark.parametrize("name", CASES)
def test_the_loss_and_its_gradient_are_those_of_sentence_transformers(name):
    loss, texts, labels = CASES[name]
    value, gradient = value_and_gradient(loss, EXAMPLE[labels], EXAMPLE["vectors"][:, :texts])
    assert float(value) == pytest.approx(THEIRS[name]["loss"], rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(np.ravel(gradient), THEIRS[name]["gradient"], rtol=1e-4, atol=1e-5)
    assert THEIRS.keys() == CASES.keys()


def ranking_formula(columns, scale=20.0):
    anchors, others = columns[0], [text for column in columns[1:] for text in column]
    rows = [np.exp([scale * cosine(anchor, other) for other in others]) for anchor in anchors]
    return np.mean([-np.log(row[index] / row.sum()) for index, row in enumerate(rows)])


def triplet_losses(vectors, classes, margin):
    """(anchor, positive, distance to the positive, distances to the negatives) of every pair of a class."""
    for i, one in enumerate(vectors):
        for j, two in enumerate(vectors):
            if i != j and classes[i] == classes[j]:
                others = [np.linalg.norm(one - other) for k, other in enumerate(vectors) if classes[k] != classes[i]]
                yield i, j, np.linalg.norm(one - two), np.array(others)


def formulas():
    """Name -> the value of the published formula, computed row by row in double precision."""
    vectors = EXAMPLE["vectors"].astype("float64")
    scores, similar, classes = EXAMPLE["scores"], EXAMPLE["similar"], EXAMPLE["classes"]
    first, second = vectors[:, 0], vectors[:, 1]
    rows = range(len(vectors))
    similarities = [cosine(first[row], second[row]) for row in rows]
    complex_first, complex_second = (text[:, :3] + 1j * text[:, 3:] for text in (first, second))
    products = complex_first * np.conj(complex_second)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    angles = np.abs((products.real + products.imag).sum(1) / lengths)

    def ranked(values):
        return softplus_all([20 * (values[i] - values[j]) for i in rows for j in rows if scores[i] < scores[j]])

    distances = 1 - np.array(similarities)
    apart = np.maximum(0, 0.5 - distances) ** 2
    margins = np.stack([(first * (second - vectors[:, k])).sum(1) for k in (2, 3)], axis=1)
    triplets = list(triplet_losses(first, classes, 1.0))
    every = np.concatenate([distance - others + 1.0 for _, _, distance, others in triplets])
    semi = [
        max(0, distance - (others[others > distance].min() if (others > distance).any() else others.max()) + 1.0)
        for _, _, distance, others in triplets
    ]
    hard = [
        max([0] + [distance for i, _, distance, _ in triplets if i == anchor])
        - min(np.linalg.norm(first[anchor] - first[k]) for k in rows if classes[k] != classes[anchor])
        for anchor in rows
    ]
    student = np.exp([[first[row] @ vectors[row, k] / 2 for k in (1, 2, 3)] for row in rows])
    teacher = np.exp(EXAMPLE["teacher_scores"].astype("float64") / 2)
    student, teacher = (table / table.sum(1, keepdims=True) for table in (student, teacher))
    columns = list(vectors.transpose(1, 0, 2))
    return {
        "cosine_similarity": np.mean((np.array(similarities) - scores) ** 2),
        "cosent": ranked(similarities),
        "angle": ranked(angles),
        "contrastive": np.mean((similar * distances**2 + (1 - similar) * apart) / 2),
        "triplet": np.mean(
            np.maximum(0, np.linalg.norm(first - second, axis=1) - np.linalg.norm(first - vectors[:, 2], axis=1) + 5.0)
        ),
        "triplet_hard": np.mean(np.maximum(0, np.array(hard) + 5.0)),
        "triplet_all": every[every > 0].mean(),
        "triplet_semi_hard": np.mean(semi),
        "ranking": ranking_formula(columns),
        "matryoshka": sum(
            weight * ranking_formula([column[:, :size] for column in columns[:3]])
            for size, weight in ((6, 1), (4, 0.5), (2, 0.25))
        ),
        "margin_mse": np.mean((margins - EXAMPLE["margins"]) ** 2),
        "mse": np.mean((vectors[:, :2] - EXAMPLE["teacher_vectors"][:, None]) ** 2),
        "distill_kl": 4 * np.mean((teacher * np.log(teacher / student)).sum(1)),
    }


@pytest.mark.parametrize("name", formulas())
def test_the_loss_is_its_formula(name):
    loss, texts, labels = CASES[name]
    value = float(loss(EXAMPLE[labels], EXAMPLE["vectors"][:, :texts]))
    assert value == pytest.approx(formulas()[name], rel=1e-5)


def test_online_contrastive_of_one_kind_of_pairs_uses_their_mean_distance():
    vectors = EXAMPLE["vectors"][:, :2]
    distances = 1 - np.array([cosine(one, two) for one, two in vectors])
    value = float(losses.OnlineContrastiveLoss()(np.ones(len(vectors)), vectors))
    assert value == pytest.approx((distances[distances > distances.mean()] ** 2).sum(), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if name != "softmax"])
def test_equal_and_zero_vectors_have_finite_gradients(name):
    loss, texts, labels = CASES[name]
    for vectors in (np.zeros((8, texts, 6), "float32"), np.ones((8, texts, 6), "float32")):
        value, gradient = value_and_gradient(loss, EXAMPLE[labels], vectors)
        assert np.isfinite(float(value))
        assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("name", [name for name in CASES if name != "softmax"])
def test_a_loss_is_restored_from_its_config_and_computes_in_float32(name):
    loss, texts, labels = CASES[name]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    vectors = ops.cast(EXAMPLE["vectors"][:, :texts], "float16")
    value = again(EXAMPLE[labels], vectors)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert float(value) == float(loss(EXAMPLE[labels], vectors))


def test_wrong_shapes_are_refused():
    ranking, vectors = losses.MultipleNegativesRankingLoss(), EXAMPLE["vectors"]
    with pytest.raises(BadInputError, match=r"at least 2 texts in a row. Received: shape=\(8, 1, 6\)"):
        ranking(np.zeros(8), vectors[:, :1])
    with pytest.raises(BadInputError, match=r"rows have no weights. Received: sample_weight"):
        ranking(np.zeros(8), vectors, sample_weight=np.ones(8))
    with pytest.raises(BadInputError, match=r"must not be larger than the model's vectors of 6.*sizes=\[8, 4\]"):
        losses.MatryoshkaLoss(ranking, [8, 4])(np.zeros(8), vectors)
    with pytest.raises(BadInputError, match=r"2 scores of a teacher for each row. Received: shape=\(8,\)"):
        losses.DistillKLLoss()(np.zeros(8), vectors[:, :3])
