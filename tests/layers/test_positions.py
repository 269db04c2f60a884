"""Each kind of positions has its defining property: a formula, independence of the place, or extrapolation."""

import math

import keras
import numpy as np
import pytest

from kerasbert.layers import BertEmbeddings, SelfAttention
from kerasbert.layers.positions import alibi_scores, alibi_slopes, buckets, rotated, sines
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

GENERATOR = np.random.default_rng(6)
HIDDEN = GENERATOR.normal(size=(2, 6, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]], "int32")
KINDS = {
    "relative": {"relative_distance": 2},
    "t5": {"relative_buckets": 8, "relative_distance": 5},
    "alibi": {},
    "rotary": {"rotary_base": 100.0, "rotary_scaling": 2.0},
}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def attention(kind, **arguments):
    """A layer whose scores are not nearly equal, as they are with initial weights."""
    values = {"dropout": 0.0, "initializer_range": 0.7, "position_type": kind, **KINDS.get(kind, {}), **arguments}
    return SelfAttention(2, **values)


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind):
    arguments = {"num_attention_heads": 2, "dropout": 0.0, "position_type": kind, **KINDS[kind]}
    inputs = {"hidden": HIDDEN, "padding_mask": MASK}
    check_layer(SelfAttention, arguments, inputs, half_precisions=("mixed_float16",), jit_compile=kind == "relative")


@pytest.mark.parametrize("kind", KINDS)
def test_attention_does_not_depend_on_where_a_text_begins(kind):
    layer = attention(kind)
    padded = np.concatenate([GENERATOR.normal(size=(2, 3, 8)), HIDDEN], axis=1).astype("float32")
    mask = np.array([[0] * 3 + [1] * 6] * 2)
    np.testing.assert_allclose(numpy(layer(padded, mask))[:, 3:], numpy(layer(HIDDEN)), atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_only_attention_without_positions_ignores_the_order(kind):
    layer = attention(kind)
    order = np.array([3, 0, 5, 1, 4, 2])
    is_same = np.allclose(numpy(layer(HIDDEN[:, order])), numpy(layer(HIDDEN))[:, order], atol=1e-4)
    assert is_same == (kind == "none")


def probabilities(layer):
    """The probabilities of the layer, and those without positions from NumPy, as scores [B, N, T, T]."""
    _, found = layer(HIDDEN, return_attention_scores=True)
    split = [numpy(part(HIDDEN)).astype("float64").reshape(2, 6, 2, 4) for part in (layer.query, layer.key)]
    return numpy(found), split[0] / 2, split[1]  # the square root of the head size is 2


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)


def test_relative_keys_equal_the_formula():
    layer = attention("relative")
    found, query, key = probabilities(layer)
    table = numpy(layer.distance_table)
    scores = np.zeros((2, 2, 6, 6))
    for i in range(6):
        for j in range(6):
            vector = table[min(max(j - i, -2), 2) + 2]
            scores[:, :, i, j] = np.einsum("bnd,bnd->bn", query[:, i], key[:, j] + vector)
    np.testing.assert_allclose(found, softmax(scores), atol=1e-5)


@pytest.mark.parametrize("kind", ["t5", "alibi"])
def test_numbers_of_distances_are_added_to_the_scores(kind):
    layer = attention(kind)
    found, query, key = probabilities(layer)
    added = numpy(alibi_scores(6, 2))
    if kind == "t5":
        added = numpy(layer.distance_table)[numpy(buckets(6, 8, 5))].transpose(2, 0, 1)
    np.testing.assert_allclose(found, softmax(np.einsum("bind,bjnd->bnij", query, key) + added), atol=1e-5)


@pytest.mark.parametrize(("number", "farthest"), [(32, 128), (8, 5), (16, 200)])
def test_buckets_are_those_of_t5(number, farthest):
    def bucket(distance):
        half, exact = number // 2, number // 4
        start, distance = (half if distance > 0 else 0), abs(distance)
        if distance < exact:
            return start + distance
        part = math.log(distance / exact) / math.log(farthest / exact) * (half - exact)
        return start + min(exact + int(part + 1e-9), half - 1)

    expected = [[bucket(j - i) for j in range(300)] for i in range(0, 300, 50)]
    np.testing.assert_array_equal(numpy(buckets(300, number, farthest))[::50], expected)


def test_alibi_has_the_slopes_of_the_article():
    assert alibi_slopes(8) == [2.0**-head for head in range(1, 9)]
    assert alibi_slopes(12)[8:] == [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    np.testing.assert_allclose(numpy(alibi_scores(4, 2))[0, 3], [-3 / 16, -2 / 16, -1 / 16, 0])


def test_rotary_positions_equal_the_formula_and_scaling_stretches_them():
    states = GENERATOR.normal(size=(1, 7, 2, 6)).astype("float32")
    numbers = states[..., :3] + 1j * states[..., 3:]
    angles = np.arange(7)[:, None] / 2.0 * 50.0 ** (-np.arange(3) / 3)
    turned = numbers * np.exp(1j * angles)[None, :, None]
    found = numpy(rotated(states, 50.0, 2.0))
    np.testing.assert_allclose(found[..., :3] + 1j * found[..., 3:], turned, atol=1e-5)
    # Every second position of a text that is twice as long has the angles of the short text.
    same = np.repeat(states[:, :1], 7, axis=1)
    long, short = (numpy(rotated(same, 50.0, scaling)) for scaling in (2.0, 1.0))
    np.testing.assert_allclose(long[:, ::2], short[:, :4], atol=1e-5)


def test_sines_equal_the_formula_and_one_distance_is_one_rotation():
    table = numpy(sines(9, 8))
    angles = np.arange(9)[:, None] / 10000 ** (np.arange(4) / 4)
    np.testing.assert_allclose(table, np.concatenate([np.sin(angles), np.cos(angles)], -1), atol=1e-6)
    np.testing.assert_allclose((table[:-2] * table[2:]).sum(-1), (table[0] * table[2]).sum(), atol=1e-5)
    embeddings = BertEmbeddings(9, 8, position_type="sine", dropout=0.0, max_position_embeddings=9)
    embeddings(np.zeros((1, 2), "int32"))
    embeddings.word_embeddings.assign(np.zeros((9, 8)))
    embeddings.segment_embeddings.assign(np.zeros((2, 8)))
    normed = (table - table.mean(-1, keepdims=True)) / table.std(-1, keepdims=True)
    np.testing.assert_allclose(numpy(embeddings(np.zeros((1, 9), "int32")))[0], normed, atol=1e-4)


def test_embeddings_without_positions_are_the_same_at_every_position():
    embeddings = BertEmbeddings(9, 8, position_type="none")
    hidden = numpy(embeddings(np.full((1, 4), 3, "int32")))
    np.testing.assert_array_equal(hidden[0], hidden[0, [1, 2, 3, 0]])
    assert all("position" not in weight.path.rsplit("/", 1)[-1] for weight in embeddings.weights)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"position_type": "absolute"}, "`position_type` must be one of.*Received: position_type='absolute'"),
        ({"position_type": "t5", "relative_buckets": 6}, "multiple of 4.*Received: relative_buckets=6"),
        ({"position_type": "t5", "relative_distance": 8}, "less than 4 times.*relative_distance=8"),
        ({"position_type": "rotary", "num_attention_heads": 8}, "must be even.*Received: 1"),
        ({"rotary_base": 0}, "`rotary_base` must"),
        ({"rotary_scaling": -1}, "`rotary_scaling` must"),
        ({"relative_distance": 1.5}, "`relative_distance` must"),
    ],
)
def test_invalid_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SelfAttention(**{"num_attention_heads": 2, **wrong})(HIDDEN)
