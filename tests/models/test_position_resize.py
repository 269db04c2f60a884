"""Position resize: tables computed by hand for each method; all other weights stay the same."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertPretrainer, BertSequenceClassifier, resize_positions

pytestmark = pytest.mark.backend

TABLE = np.array([[0.0, 10.0], [1.0, 30.0], [4.0, 20.0]], "float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def backbone():
    """Three positions, hidden size 2."""
    model = BertBackbone(
        vocab_size=6,
        hidden_size=2,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=3,
        max_position_embeddings=3,
    )
    model.embeddings.position_embeddings.assign(TABLE)
    return model


def table_of(model):
    return numpy(getattr(model, "backbone", model).embeddings.position_embeddings)


def test_copy_keeps_the_first_rows_and_draws_the_rest(backbone):
    resized = resize_positions(backbone, 500, seed=7)
    table = table_of(resized)
    np.testing.assert_array_equal(table[:3], TABLE)
    assert np.abs(table[3:]).max() <= 0.04 + 1e-6
    assert 0.016 < table[3:].std() < 0.02
    np.testing.assert_array_equal(table, table_of(resize_positions(backbone, 500, method="copy", seed=7)))
    assert not np.array_equal(table, table_of(resize_positions(backbone, 500, seed=8)))


def test_interpolate_worked_by_hand(backbone):
    # Five rows over three: row i of the stretched table lies at i / 2 of the old one; the first three stay.
    expected = [*TABLE, [2.5, 25.0], [4.0, 20.0]]
    np.testing.assert_allclose(table_of(resize_positions(backbone, 5, method="interpolate")), expected, rtol=1e-6)


def test_hierarchical_worked_by_hand(backbone):
    # alpha = 0.4: u_1 = (0, 10), u_2 = ((1 - 0) / 0.6, (30 - 4) / 0.6), u_3 = (4 / 0.6, (20 - 4) / 0.6).
    u = np.array([[0, 10], [1 / 0.6, 26 / 0.6], [4 / 0.6, 16 / 0.6]])
    expected = [0.4 * u[i] + 0.6 * u[j] for i in range(3) for j in range(3)]
    table = table_of(resize_positions(backbone, 9, method="hierarchical"))
    np.testing.assert_allclose(table, expected, rtol=1e-6)
    np.testing.assert_allclose(table[5], [0.4 / 0.6 + 4, 0.4 * 26 / 0.6 + 16], rtol=1e-6)  # i = 2, j = 3
    np.testing.assert_array_equal(table[:3], TABLE)
    assert len(np.unique(table.round(4), axis=0)) == 9
    shorter = table_of(resize_positions(backbone, 5, method="hierarchical"))
    np.testing.assert_array_equal(shorter, table[:5])


@pytest.mark.parametrize("method", ["copy", "interpolate", "hierarchical"])
def test_a_shorter_or_equal_table_is_the_first_rows(backbone, method):
    np.testing.assert_array_equal(table_of(resize_positions(backbone, 2, method=method)), TABLE[:2])
    np.testing.assert_array_equal(table_of(resize_positions(backbone, 3, method=method)), TABLE)


@pytest.mark.parametrize("make", [lambda b: b, BertPretrainer, lambda b: BertSequenceClassifier(b, 3, dropout=0.2)])
def test_all_other_weights_stay_the_same(backbone, make):
    model = make(backbone)
    before = [weight.copy() for weight in model.get_weights()]
    ids = np.array([[1, 2, 3]], "int32")
    inputs = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids * 0 + 1}
    if "mask_positions" in model.input:
        inputs["mask_positions"] = np.array([[1]], "int32")
    resized = resize_positions(model, 8, method="hierarchical")
    assert type(resized) is type(model)
    assert {**resized.get_config(), "backbone": 0, "max_position_embeddings": 3} == {
        **model.get_config(),
        "backbone": 0,
        "max_position_embeddings": 3,
    }
    for ours, expected in zip(keras.tree.flatten(resized(inputs)), keras.tree.flatten(model(inputs)), strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(expected))
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    longer = {name: np.tile(value, (1, 2)) for name, value in inputs.items()}
    assert all(np.isfinite(numpy(output)).all() for output in keras.tree.flatten(resized(longer)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"new_length": 0}, r"`new_length` must .*Received: new_length=0"),
        ({"new_length": 4, "method": "repeat"}, r"`method` must be one of .*Received: method='repeat'"),
        ({"new_length": 10, "method": "hierarchical"}, r"at most 9, the square of the old length 3.*new_length=10"),
        ({"new_length": 4, "method": "hierarchical", "alpha": 0.5}, r"`alpha` must .*Received: alpha=0.5"),
        ({"new_length": 4, "method": "hierarchical", "alpha": 1}, r"`alpha` must .*Received: alpha=1"),
    ],
)
def test_invalid_arguments_are_refused(backbone, arguments, message):
    with pytest.raises(ValueError, match=message):
        resize_positions(backbone, **arguments)


def test_another_model_is_refused():
    model = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"`model` must be a `BertBackbone` or have one as `backbone`"):
        resize_positions(model, 4)
