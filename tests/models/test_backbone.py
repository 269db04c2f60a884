"""The backbone: names, any batch and length, the limit, precision, and the same numbers as keras-hub's."""

import keras
import numpy as np
import pytest

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow graphs")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_contract(calm_config, inputs):
    check_model(
        lambda dtype: BertBackbone.from_config(calm_config, dtype=dtype), inputs, half_precisions=("mixed_float16",)
    )


def test_names_shapes_and_parts(config, inputs):
    backbone = BertBackbone.from_config(config, name="encoder")
    assert backbone.name == "encoder"
    assert set(backbone.input) == {"token_ids", "segment_ids", "padding_mask"}
    assert {tensor.dtype for tensor in backbone.input.values()} == {"int32"}
    assert [tuple(tensor.shape) for tensor in backbone.input.values()] == [(None, None)] * 3
    assert set(backbone.output) == {"sequence_output", "pooled_output"}
    assert backbone.output["sequence_output"].shape == (None, None, 16)
    assert backbone.output["pooled_output"].shape == (None, 16)
    assert [block.name for block in backbone.encoder_blocks] == ["encoder_block_0", "encoder_block_1"]
    assert (backbone.embeddings.name, backbone.pooler.name) == ("embeddings", "pooler")
    outputs = backbone(inputs)
    assert (outputs["sequence_output"].shape, outputs["pooled_output"].shape) == ((3, 7, 16), (3, 16))


def test_a_backbone_can_be_restored_from_its_config(config):
    backbone = BertBackbone.from_config(config, dtype="mixed_bfloat16", trainable=False)
    assert backbone.bert_config == config
    again = BertBackbone.from_config(backbone.get_config())
    assert again.bert_config == config
    assert (again.name, again.trainable, again.dtype_policy.name) == (backbone.name, False, "mixed_bfloat16")
    assert all(block.dtype_policy.name == "mixed_bfloat16" for block in again.encoder_blocks)


def test_pooled_output_is_tanh_of_a_dense_layer_on_the_first_token(config, inputs, shake):
    backbone = BertBackbone.from_config(config)
    shake(backbone)
    outputs = backbone(inputs)
    kernel, bias = backbone.pooler.get_weights()
    expected = np.tanh(numpy(outputs["sequence_output"])[:, 0] @ kernel + bias)
    np.testing.assert_allclose(numpy(outputs["pooled_output"]), expected, atol=1e-5)


def test_config_reaches_every_part(config):
    odd = config.replace(
        hidden_act="gelu_erf",
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.3,
        layer_norm_eps=1e-6,
        initializer_range=0.5,
        type_vocab_size=5,
    )
    backbone = BertBackbone.from_config(odd)
    embeddings = backbone.embeddings
    assert (embeddings.dropout, embeddings.layer_norm.epsilon, embeddings.type_vocab_size) == (0.2, 1e-6, 5)
    for block in backbone.encoder_blocks:
        assert (block.activation, block.feed_forward.activation) == ("gelu_erf", "gelu_erf")
        assert (block.attention_output_dropout.rate, block.feed_forward_dropout.rate) == (0.2, 0.2)
        assert block.attention.dropout_layer.rate == 0.3
        assert (block.attention_norm.epsilon, block.output_norm.epsilon) == (1e-6, 1e-6)
    for kernel in (backbone.pooler.kernel, backbone.encoder_blocks[1].attention.query.kernel):
        assert 0.2 < numpy(kernel).std() < 0.6


def test_length_up_to_the_table_and_not_beyond(config):
    backbone = BertBackbone.from_config(config)
    for length in (1, 10):
        ids = np.ones((2, length), "int32")
        outputs = backbone({"token_ids": ids, "segment_ids": ids, "padding_mask": ids})
        assert outputs["sequence_output"].shape == (2, length, 16)
    ids = np.ones((2, 11), "int32")
    with pytest.raises(ValueError, match=r"max_position_embeddings=10.*Truncate the input.*Received: 11 tokens"):
        backbone({"token_ids": ids, "segment_ids": ids, "padding_mask": ids})


@tensorflow_only
def test_a_length_known_only_at_run_time_is_refused_in_fit(config, inputs):
    import tensorflow as tf

    backbone = BertBackbone.from_config(config)
    model = keras.Model(backbone.input, backbone.output["pooled_output"])
    model.compile("sgd", "mse", jit_compile=False)
    names = list(backbone.input)

    def batches():
        for length in (10, 11):
            ids = np.ones((2, length), "int32")
            yield dict.fromkeys(names, ids), np.zeros((2, 16), "float32")

    ids = tf.TensorSpec([None, None], tf.int32)
    signature = (dict.fromkeys(names, ids), tf.TensorSpec([None, 16], tf.float32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    model.fit(dataset, steps_per_epoch=1, shuffle=False, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"max_position_embeddings=10.*Truncate the input"):
        model.fit(dataset, steps_per_epoch=2, shuffle=False, verbose=0)


@tensorflow_only
def test_an_empty_batch_works(config):
    ids = np.ones((0, 5), "int32")
    outputs = BertBackbone.from_config(config)({"token_ids": ids, "segment_ids": ids, "padding_mask": ids})
    assert outputs["sequence_output"].shape == (0, 5, 16)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_pure_half_precision_stays_finite_and_near(config, inputs, dtype):
    backbone = BertBackbone.from_config(config)
    half = BertBackbone.from_config(config, dtype=dtype)
    half.set_weights(backbone.get_weights())
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in half.weights} == {dtype}
    for name, expected in backbone(inputs).items():
        output = half(inputs)[name]
        assert keras.backend.standardize_dtype(output.dtype) == dtype
        np.testing.assert_allclose(numpy(keras.ops.cast(output, "float32")), numpy(expected), atol=0.1)


def test_hidden_states_of_each_block_are_there(config, inputs):
    backbone = BertBackbone.from_config(config)
    states = [backbone.get_layer("embeddings").output]
    states += [backbone.get_layer(block.name).output for block in backbone.encoder_blocks]
    results = keras.Model(backbone.input, states)(inputs)
    expected = backbone.embeddings(inputs["token_ids"], inputs["segment_ids"])
    np.testing.assert_allclose(numpy(results[0]), numpy(expected), atol=1e-6)
    for block in backbone.encoder_blocks:
        expected = block(expected, inputs["padding_mask"])
    np.testing.assert_allclose(numpy(results[-1]), numpy(expected), atol=1e-6)


def test_frozen_parts_and_invalid_values(config):
    backbone = BertBackbone.from_config(config)
    backbone.embeddings.trainable = False
    assert len(backbone.trainable_weights) == len(backbone.weights) - 5
    with pytest.raises(ValueError, match=r"`num_hidden_layers` must.*Received: num_hidden_layers=0"):
        BertBackbone(num_hidden_layers=0)
    with pytest.raises(TypeError, match="no_such"):
        BertBackbone(**BertConfig.named("bert-tiny").to_dict(), no_such=1)


@tensorflow_only
def test_same_numbers_as_keras_hub(config, inputs, shake):
    keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")
    ours = BertBackbone.from_config(config)
    shake(ours)
    theirs = keras_hub.models.BertBackbone(
        vocabulary_size=30,
        num_layers=2,
        num_heads=4,
        hidden_dim=16,
        intermediate_dim=24,
        max_sequence_length=10,
        num_segments=2,
    )
    copy_into_keras_hub(ours, theirs)
    expected = theirs(inputs)
    for name, output in ours(inputs).items():
        real = inputs["padding_mask"].astype(bool) if name == "sequence_output" else slice(None)
        np.testing.assert_allclose(numpy(output)[real], numpy(expected[name])[real], atol=1e-5)


def copy_into_keras_hub(ours, theirs):
    """Copy weight by weight, from shapes [H, H] to keras-hub's [H, N, D] and [N, D, H]."""
    tables = (ours.embeddings.word_embeddings, ours.embeddings.position_embeddings, ours.embeddings.segment_embeddings)
    holders = (theirs.token_embedding, theirs.position_embedding, theirs.segment_embedding)
    for table, holder in zip(tables, holders, strict=True):
        holder.set_weights([table])
    theirs.embeddings_layer_norm.set_weights(ours.embeddings.layer_norm.get_weights())
    theirs.pooled_dense.set_weights(ours.pooler.get_weights())
    for block, other in zip(ours.encoder_blocks, theirs.transformer_layers, strict=True):
        attention, their_attention = block.attention, other._self_attention_layer
        for part, name in ((attention.query, "query"), (attention.key, "key"), (attention.value, "value")):
            kernel, bias = part.get_weights()
            dense = getattr(their_attention, f"_{name}_dense")
            dense.set_weights([kernel.reshape(dense.kernel.shape), bias.reshape(dense.bias.shape)])
        kernel, bias = attention.output_dense.get_weights()
        their_attention._output_dense.set_weights([kernel.reshape(their_attention._output_dense.kernel.shape), bias])
        other._self_attention_layer_norm.set_weights(block.attention_norm.get_weights())
        other._feedforward_intermediate_dense.set_weights(block.feed_forward.intermediate_dense.get_weights())
        other._feedforward_output_dense.set_weights(block.feed_forward.output_dense.get_weights())
        other._feedforward_layer_norm.set_weights(block.output_norm.get_weights())
