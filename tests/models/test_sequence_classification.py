"""The classifier: logits, its one dropout, and the three kinds of problem."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertSequenceClassifier
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_contract(calm_config, inputs):
    check_model(
        lambda dtype: BertSequenceClassifier(BertBackbone.from_config(calm_config, dtype=dtype), 3, dropout=0.0),
        inputs,
        half_precisions=("mixed_bfloat16",),
        jit_compile=False,
    )


@pytest.mark.parametrize(
    ("problem_type", "num_labels"),
    [
        ("single_label_classification", 2),
        ("multi_label_classification", 1),
        ("multi_label_classification", 4),
        ("regression", 1),
        ("regression", 2),
    ],
)
def test_logits_are_a_dense_layer_on_the_pooled_output(config, inputs, shake, problem_type, num_labels):
    model = BertSequenceClassifier(BertBackbone.from_config(config), num_labels, problem_type=problem_type)
    shake(model)
    kernel, bias = model.classifier.get_weights()
    expected = numpy(model.backbone(inputs)["pooled_output"]) @ kernel + bias
    np.testing.assert_allclose(numpy(model(inputs)), expected, atol=1e-5)
    assert model.output_names == ["logits"]
    again = BertSequenceClassifier.from_config(model.get_config())
    assert (again.num_labels, again.problem_type, again.dropout) == (num_labels, problem_type, 0.1)


def test_dropout_is_on_the_pooled_output_only(calm_config, inputs, shake):
    model = BertSequenceClassifier(BertBackbone.from_config(calm_config), num_labels=16, dropout=0.5)
    shake(model)
    model.classifier.set_weights([np.eye(16, dtype="float32"), np.zeros(16, "float32")])
    calm, shaken = numpy(model(inputs, training=False)), numpy(model(inputs, training=True))
    kept = shaken != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(shaken[kept], 2 * calm[kept], rtol=1e-5)


def test_keras_file_keeps_the_arguments_and_the_frozen_backbone(tmp_path, config, inputs):
    model = BertSequenceClassifier(
        BertBackbone.from_config(config), num_labels=5, problem_type="multi_label_classification", dropout=0.3
    )
    model.backbone.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, BertSequenceClassifier)
    assert (loaded.num_labels, loaded.problem_type, loaded.dropout) == (5, "multi_label_classification", 0.3)
    assert len(loaded.trainable_weights) == 2
    np.testing.assert_array_equal(numpy(loaded(inputs)), numpy(model(inputs)))


def test_fit_and_predict_at_other_batch_sizes_and_lengths(config, inputs):
    model = BertSequenceClassifier(BertBackbone.from_config(config), num_labels=2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    model.fit(inputs, np.array([0, 1, 1]), batch_size=3, verbose=0)
    shorter = {name: value[:1, :4] for name, value in inputs.items()}
    assert model.predict(shorter, verbose=0).shape == (1, 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_labels": 0}, r"`num_labels` must .*Received: num_labels=0"),
        ({"num_labels": 1}, r"at least 2 for single_label_classification. Received: num_labels=1.*multi_label"),
        ({"num_labels": True}, r"Received: num_labels=True"),
        (
            {"problem_type": "classification"},
            r"`problem_type` must be one of .*Received: problem_type='classification'",
        ),
        ({"dropout": 1.0}, r"`dropout` must .*Received: dropout=1.0"),
        ({"backbone": "bert"}, r"`backbone` must be a `BertBackbone`. Received: backbone='bert'"),
    ],
)
def test_invalid_arguments_are_refused(config, wrong, message):
    arguments = {"backbone": BertBackbone.from_config(config), "num_labels": 3}
    with pytest.raises(ValueError, match=message):
        BertSequenceClassifier(**{**arguments, **wrong})


@pytest.mark.parametrize(("activation", "function"), [("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("tanh", np.tanh)])
def test_a_regressions_activation_is_part_of_the_output(config, inputs, shake, activation, function):
    plain = BertSequenceClassifier(BertBackbone.from_config(config), 1, "regression")
    shake(plain)
    model = BertSequenceClassifier(plain.backbone, 1, "regression", activation=activation)
    model.classifier.set_weights(plain.classifier.get_weights())
    np.testing.assert_allclose(numpy(model(inputs)), function(numpy(plain(inputs))), atol=1e-5)
    np.testing.assert_allclose(numpy(model.scores(model(inputs))), numpy(model(inputs)))
    assert BertSequenceClassifier.from_config(model.get_config()).activation == activation


def test_a_classifiers_output_stays_logits_and_its_scores_have_the_activation(config, inputs, shake):
    model = BertSequenceClassifier(BertBackbone.from_config(config), 3)
    shake(model)
    logits = np.float64(numpy(model(inputs)))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(numpy(model.scores(model(inputs))), softmax, atol=1e-5)
    several = BertSequenceClassifier(model.backbone, 3, "multi_label_classification")
    np.testing.assert_allclose(numpy(several.scores(logits)), 1 / (1 + np.exp(-logits)), atol=1e-5)
    linear = BertSequenceClassifier(model.backbone, 3, activation="linear")
    np.testing.assert_allclose(numpy(linear.scores(logits)), softmax, atol=1e-5)
    each = BertSequenceClassifier(model.backbone, 3, activation="sigmoid")
    np.testing.assert_allclose(numpy(each.scores(logits)), 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_an_unknown_activation_is_refused(config):
    with pytest.raises(ValueError, match=r"`activation` must be .*Received: activation='steep'"):
        BertSequenceClassifier(BertBackbone.from_config(config), 1, "regression", activation="steep")
