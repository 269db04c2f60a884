"""The variants of the encoder block: each against its formula, and the idea behind it."""

import keras
import numpy as np
import pytest

from kerasbert.config import BertConfig
from kerasbert.layers import EncoderBlock, FeedForward, RMSNorm, SelfAttention
from kerasbert.layers.initial_weights import kernel_initializer
from kerasbert.models import BertBackbone
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.random.default_rng(4).normal(size=(2, 5, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], "int32")
CALM = {"num_attention_heads": 2, "intermediate_size": 12, "dropout": 0.0, "attention_dropout": 0.0}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_contract_of_a_block_with_all_variants():
    arguments = {
        **CALM,
        "activation": "silu",
        "norm_placement": "sandwich",
        "norm_type": "rms_norm",
        "use_bias": False,
        "gated_feed_forward": True,
        "initialization": "fan_geometric",
        "residual_scale": 1.5,
        "initializer_gain": 0.5,
        "final_norm": True,
        "scaled_attention": False,
    }
    check_layer(EncoderBlock, arguments, {"hidden": HIDDEN, "padding_mask": MASK}, half_precisions=("mixed_float16",))


def test_contract_of_rms_norm():
    check_layer(RMSNorm, {"epsilon": 1e-6}, HIDDEN, jit_compile=False)


@pytest.mark.parametrize("norm_type", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("placement", ["post", "pre", "sandwich"])
def test_norm_placements_equal_their_formulas(reference, placement, norm_type):
    block = EncoderBlock(**CALM, norm_placement=placement, norm_type=norm_type, residual_scale=1.3, final_norm=True)
    block.build(HIDDEN.shape)
    reference.shake(block)

    def norm(layer, x):
        if norm_type == "layer_norm":
            return reference.layer_norm(x, layer)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + layer.epsilon) * numpy(layer.gamma)

    def added(x, sublayer, before, after):
        if placement == "post":
            return norm(after, 1.3 * x + sublayer(x))
        output = sublayer(norm(before, x))
        return 1.3 * x + (output if placement == "pre" else norm(after, output))

    x = HIDDEN.astype("float64")
    x = added(
        *(x, lambda x: reference.self_attention(x, block.attention, MASK)),
        *(block.attention_input_norm, block.attention_norm),
    )
    x = added(
        *(x, lambda x: reference.feed_forward(x, block.feed_forward)),
        *(block.feed_forward_input_norm, block.output_norm),
    )
    np.testing.assert_allclose(numpy(block(HIDDEN, MASK)), norm(block.last_norm, x), atol=1e-4)


def test_the_residual_path_of_pre_norm_is_the_identity():
    blocks = {placement: EncoderBlock(**CALM, norm_placement=placement) for placement in ("pre", "post")}
    x = HIDDEN * 100
    for block in blocks.values():
        block.build(x.shape)
        for layer in (block.attention.output_dense, block.feed_forward.output_dense):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    np.testing.assert_array_equal(numpy(blocks["pre"](x)), x)
    assert np.abs(numpy(blocks["post"](x)) - x).max() > 100


def test_the_update_of_deep_norm_does_not_grow_with_depth():
    """The same small change of every kernel changes the output as much at 8 blocks as at 2, unlike with post-norm."""

    def change(placement, depth):
        keras.utils.set_random_seed(0)
        sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": depth}
        backbone = BertBackbone(vocab_size=9, norm_placement=placement, initialization="fan_average", **sizes)
        generator = np.random.default_rng(0)
        before = after = keras.ops.convert_to_tensor(generator.normal(size=(2, 6, 16)).astype("float32"))
        for block in backbone.encoder_blocks:
            before = block(before)
            attention, feed_forward = block.attention, block.feed_forward
            for layer in (
                *(attention.value, attention.output_dense),
                *(feed_forward.intermediate_dense, feed_forward.output_dense),
            ):
                layer.kernel.assign(numpy(layer.kernel) + generator.normal(0, 0.01, layer.kernel.shape))
            after = block(after)
        return float(np.sqrt(np.mean((numpy(after) - numpy(before)) ** 2)))

    assert change("deepnorm", 8) < 1.3 * change("deepnorm", 2)
    assert change("post", 8) > 2 * change("post", 2)


def test_deep_norm_has_the_factors_of_the_article():
    block = BertBackbone.from_config(
        BertConfig.named("bert-tiny", vocab_size=9, num_hidden_layers=8, norm_placement="deepnorm")
    ).encoder_blocks[3]
    np.testing.assert_allclose([block.residual_scale, block.initializer_gain], [2.0, 64**-0.25])
    spread = {name: numpy(getattr(block.attention, name).kernel).std() for name in ("query", "value")}
    np.testing.assert_allclose(spread["value"] / spread["query"], 64**-0.25, rtol=0.05)


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("gelu_tanh", None),
        ("relu_squared", lambda x: np.maximum(x, 0) ** 2),
    ],
)
def test_gated_feed_forward_equals_the_formula(reference, activation, formula):
    layer = FeedForward(10, activation, gated=True)
    layer.build(HIDDEN.shape)
    reference.shake(layer)
    x = HIDDEN.astype("float64")
    activated = (formula or reference.gelu_tanh)(reference.dense(x, layer.intermediate_dense))
    expected = reference.dense(activated * reference.dense(x, layer.gate_dense), layer.output_dense)
    np.testing.assert_allclose(numpy(layer(HIDDEN)), expected, atol=1e-5)


def test_a_gate_with_two_thirds_of_the_width_has_as_many_weights():
    plain, gated = FeedForward(12, use_bias=False), FeedForward(8, gated=True, use_bias=False)
    plain.build(HIDDEN.shape)
    gated.build(HIDDEN.shape)
    assert plain.count_params() == gated.count_params()


def test_without_bias_there_are_only_kernels_and_scales():
    block = EncoderBlock(**CALM, use_bias=False, gated_feed_forward=True, norm_placement="sandwich")
    block.build(HIDDEN.shape)
    assert {variable.name for variable in block.trainable_variables} == {"kernel", "gamma"}


def test_rms_norm_does_not_see_the_scale_of_its_input():
    norm = RMSNorm()
    np.testing.assert_allclose(numpy(norm(HIDDEN * 1000)), numpy(norm(HIDDEN)), rtol=1e-5)
    assert np.abs(numpy(norm(HIDDEN + 5)).mean()) > 0.5  # unlike layer norm, it keeps the mean


@pytest.mark.parametrize(
    ("initialization", "fan"), [("fan_in", 300), ("fan_out", 120), ("fan_average", 210), ("fan_geometric", 36000**0.5)]
)
def test_variance_of_the_initial_kernels(initialization, fan):
    kernel = numpy(kernel_initializer(initialization, 0.02, 300, 120, gain=0.5)((300, 120)))
    np.testing.assert_allclose(kernel.var(), 0.25 / fan, rtol=0.05)


def test_fan_in_keeps_the_variance_through_the_depth():
    x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")

    def variance(initialization):
        hidden = keras.ops.convert_to_tensor(x)
        for _ in range(4):
            hidden = FeedForward(256, "linear", initialization=initialization, use_bias=False)(hidden)
        return float(numpy(hidden).var())

    assert 0.3 < variance("fan_in") < 3
    assert variance("fixed") < 1e-3


def test_attention_without_scale_begins_with_the_same_scores():
    """The division by the square root of the head size is in the query's weights."""
    scaled, plain = (SelfAttention(2, initialization="fan_in", scaled=scaled) for scaled in (True, False))
    wide = np.random.default_rng(1).normal(size=(2, 5, 128)).astype("float32")
    for layer in (scaled, plain):
        layer.build(wide.shape)
    spread = [numpy(layer.query.kernel).std() for layer in (plain, scaled)]
    np.testing.assert_allclose(spread[0] / spread[1], 1 / 8, rtol=0.05)  # heads of size 64
    plain.set_weights(scaled.get_weights())
    assert np.abs(numpy(plain(wide)) - numpy(scaled(wide))).max() > 1e-2
    plain.query.kernel.assign(numpy(scaled.query.kernel) / 8)
    np.testing.assert_allclose(numpy(plain(wide)), numpy(scaled(wide)), atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"norm_placement": "middle"},
        {"norm_type": "batch_norm"},
        {"use_bias": "no"},
        {"gated_feed_forward": 1},
        {"initialization": "zero"},
        {"residual_scale": 0},
        {"scaled_attention": 0.125},
        {"final_norm": None},
    ],
)
def test_invalid_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}={value!r}"):
        EncoderBlock(**{**CALM, **wrong})
