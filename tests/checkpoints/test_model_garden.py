"""TensorFlow 2 checkpoints of the Model Garden, in the shapes that its encoders and pretraining models save.

The objects here have the names and variables of `official.nlp` 2.16, as listed from its own models.
"""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.checkpoints import largest_differences, load, load_backbone
from kerasbert.checkpoints.model_weights import extract
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertPretrainer, BertSequenceClassifier

FIRST_LAYERS = ["_embedding_layer", "_position_embedding_layer", "_type_embedding_layer", "_embedding_norm_layer"]


@pytest.fixture(scope="module")
def google_config(config):
    return config.replace(hidden_act="gelu_tanh", layer_norm_eps=1e-12)


def tree(arrays: dict[str, np.ndarray]) -> tf.Module:
    """Objects with attributes of the given names."""
    root = tf.Module()
    for name, array in arrays.items():
        *steps, last = name.replace("output_bias/bias", "output_bias.bias").split("/")
        node = root
        for step in steps:
            if not hasattr(node, step):
                setattr(node, step, tf.Module())
            node = getattr(node, step)
        setattr(node, last.replace("output_bias.bias", "output_bias/bias"), tf.Variable(array))
    return root


def encoder_of(model, config: BertConfig, numbered: bool) -> tf.Module:
    """The second kind of encoder, or the first one, a functional model with numbered layers."""
    encoder = tree(extract(model, BACKBONE_PARTS, "model_garden", config))
    if not numbered:
        return encoder
    blocks = [getattr(encoder._transformer_layers, str(index)) for index in range(config.num_hidden_layers)]
    layers = [*(getattr(encoder, name) for name in FIRST_LAYERS), *blocks, encoder._pooler_layer]
    functional = tf.Module()
    for index, layer in enumerate(layers):
        setattr(functional, f"layer-{index + 3}", layer)
        setattr(functional, f"layer_with_weights-{index}", layer)
    return functional


def word_embedding(encoder: tf.Module, numbered: bool) -> tf.Variable:
    return getattr(encoder, "layer_with_weights-0" if numbered else "_embedding_layer").embeddings


@pytest.fixture
def write(tmp_path, google_config):
    def write_checkpoint(**items) -> None:
        tf.train.Checkpoint(**items).save(str(tmp_path / "bert_model.ckpt"))
        google_config.to_json(tmp_path / "bert_config.json", dialect="google")
        return tmp_path

    return write_checkpoint


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("name", ["encoder", "model"])
def test_an_encoder_loads_under_any_name(numbered, name, make_model, google_config, write, assert_same_weights):
    model = make_model("backbone", google_config)
    folder = write(**{name: encoder_of(model, google_config, numbered)})
    loaded = load(folder)
    assert loaded.source_format == "model_garden"
    assert isinstance(loaded.model, BertBackbone)
    assert loaded.config == google_config
    assert_same_weights(loaded.model, model)
    assert set(largest_differences(model, loaded.model).values()) == {0.0}


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("items", ["whole", "items", "both"])
def test_a_pretraining_model_loads_with_its_heads(
    numbered, items, make_model, google_config, write, assert_same_weights
):
    """Its pooler is the dense layer of the next-sentence head; the encoder's own is not trained and not loaded."""
    model = make_model("pretrainer", google_config)
    arrays = extract(model, ["masked_lm", "next_sentence"], "model_garden", google_config)
    heads = tree(arrays)
    encoder = encoder_of(model.backbone, google_config, numbered)
    heads.masked_lm.embedding_table = word_embedding(encoder, numbered)
    pooler = tree(extract(model, ["pooler"], "model_garden", google_config))._pooler_layer
    heads.next_sentence.dense = pooler
    unused = getattr(encoder, "layer_with_weights-6") if numbered else encoder._pooler_layer
    unused.kernel.assign(tf.zeros_like(unused.kernel))
    pretrainer = tf.Module()
    pretrainer.encoder_network, pretrainer.masked_lm = encoder, heads.masked_lm
    pretrainer.classification_heads = tf.Module()
    setattr(pretrainer.classification_heads, "0", heads.next_sentence)
    parts = {"encoder": encoder, "masked_lm": heads.masked_lm, "next_sentence.pooler_dense": pooler}
    folder = write(**({"model": pretrainer} if items != "items" else {}), **(parts if items != "whole" else {}))
    loaded = load(folder)
    assert isinstance(loaded.model, BertPretrainer)
    assert len(loaded.dropped) == 2
    if items == "items":  # the output layer of the head is not among them
        assert loaded.absent == ("next_sentence",)
        assert not np.any(loaded.model.next_sentence_head.kernel.numpy())
        assert_same_weights(loaded.model.backbone, model.backbone)
        assert largest_differences(model, loaded.model)["masked_lm"] == 0
    else:
        assert loaded.absent == ()
        assert_same_weights(loaded.model, model)


def test_a_classifier_loads(make_model, google_config, write, edit_json, assert_same_weights):
    model = make_model("single label", google_config)
    head = tree(extract(model, ["classifier"], "model_garden", google_config)).classifier
    classifier = tf.Module()
    setattr(classifier, "layer_with_weights-0", encoder_of(model.backbone, google_config, numbered=True))
    setattr(classifier, "layer_with_weights-1", head)
    folder = write(model=classifier)
    loaded = load(folder)
    assert isinstance(loaded.model, BertSequenceClassifier)
    assert_same_weights(loaded.model, model)
    edit_json(folder / "bert_config.json", problem_type="foo")
    with pytest.raises(BadInputError, match=r"bert_config\.json: `problem_type` must be one of"):
        load(folder)
    assert_same_weights(load_backbone(folder).model, model.backbone)


def test_older_names_of_parts_load(make_model, google_config, write, assert_same_weights):
    model = make_model("backbone", google_config)
    encoder = encoder_of(model, google_config, numbered=False)
    for index in range(google_config.num_hidden_layers):
        block = getattr(encoder._transformer_layers, str(index))
        block._attention_output_dense = block._attention_layer._output_dense
        del block._attention_layer._output_dense
    encoder._position_embedding_layer._position_embeddings = encoder._position_embedding_layer.embeddings
    del encoder._position_embedding_layer.embeddings
    assert_same_weights(load(write(encoder=encoder)).model, model)


def test_optimizer_and_counters_are_ignored(make_model, google_config, write):
    model = make_model("backbone", google_config)
    encoder = encoder_of(model, google_config, numbered=True)
    optimizer = tree({"iter": np.int64(3), "learning_rate": np.float32(0.1)})
    assert load(write(encoder=encoder, optimizer=optimizer, global_step=tf.Variable(5))).dropped == ()


def test_unexpected_weights_are_named(make_model, google_config, write):
    model = make_model("backbone", google_config)
    folder = write(encoder=encoder_of(model, google_config, numbered=True), head=tree({"weights": np.zeros(3)}))
    with pytest.raises(BadInputError, match=r"Left over: head/weights\."):
        load(folder)
    assert load_backbone(folder).dropped == ("head/weights",)


def test_the_number_of_layers_must_be_as_configured(make_model, google_config, write):
    folder = write(encoder=encoder_of(make_model("backbone", google_config), google_config, numbered=True))
    for layers, named in ((1, "Left over: _transformer_layers/1/"), (3, "Missing: _transformer_layers/2/")):
        google_config.replace(num_hidden_layers=layers).to_json(folder / "bert_config.json", dialect="google")
        for load_it in (load, load_backbone):
            with pytest.raises(BadInputError, match=named):
                load_it(folder)
    google_config.replace(num_attention_heads=4).to_json(folder / "bert_config.json", dialect="google")
    with pytest.raises(BadInputError, match=r"_query_dense/kernel has \[8, 2, 4\] and not \[8, 4, 2\]"):
        load(folder)


def test_another_model_is_refused(write):
    with pytest.raises(BadInputError, match="must contain an encoder of the Model Garden"):
        load(write(model=tree({"layer/kernel": np.zeros((2, 2), "float32")})))
