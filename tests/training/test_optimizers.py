import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertPretrainer
from kerasbert.training import (
    AccumulationRamp,
    AdamW,
    Lamb,
    LinearWarmupDecay,
    OriginalAdamW,
    OriginalWarmupDecay,
    StableAdamW,
    adamw,
    lamb,
    layer_wise_factors,
    original_adamw,
    stable_adamw,
)
from kerasbert.training.optimizer_rules import takes_weight_decay

pytestmark = pytest.mark.backend


def variables(*values, names=("kernel", "bias")):
    return [keras.Variable(value, dtype="float32", name=name) for value, name in zip(values, names, strict=False)]


def numbers(variable):
    return ops.convert_to_numpy(variable)


def update(optimizer, tensors, gradients):
    optimizer.apply([ops.convert_to_tensor(gradient) for gradient in gradients], tensors)


def random_gradients(steps, scale=1.0):
    random = np.random.default_rng(3)
    return [
        [scale * random.normal(size=(3, 2)).astype("float32"), scale * random.normal(size=(2,)).astype("float32")]
        for _ in range(steps)
    ]


def adam_in_numpy(weights, steps, rate, *, corrected, decay=0.01, clip=1.0, epsilon=1e-6):
    """The published rules in float64. `rate` maps the number of the update to the rate."""
    weights = [np.array(weight, "float64") for weight in weights]
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for step, gradients in enumerate(steps):
        norm = np.sqrt(sum((np.float64(g) ** 2).sum() for g in gradients))
        for i, gradient in enumerate(np.float64(g) * min(1.0, clip / norm) for g in gradients):
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient**2
            mean, square = means[i], squares[i]
            if corrected:
                mean, square = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
                # Kingma & Ba's efficient order adds epsilon to the uncorrected root.
                direction = mean / (np.sqrt(square) + epsilon / np.sqrt(1 - 0.999 ** (step + 1)))
            else:
                direction = mean / (np.sqrt(square) + epsilon)
            if weights[i].ndim > 1:
                direction = direction + decay * weights[i]
            weights[i] = weights[i] - rate(step) * direction
    return weights


@pytest.mark.parametrize("scale", [0.01, 10.0])
def test_the_original_optimizer_follows_the_published_rules(scale):
    start = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0])
    steps = random_gradients(12, scale)
    optimizer = original_adamw(OriginalWarmupDecay(peak=0.1, warmup_steps=4, total_steps=12))
    tensors = variables(*start)
    for gradients in steps:
        update(optimizer, tensors, gradients)

    def rate(step):
        return 0.1 * (step / 4 if step < 4 else 1 - step / 12)

    expected = adam_in_numpy(start, steps, rate, corrected=False)
    for tensor, value in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(numbers(tensor), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 10.0])
def test_the_default_corrects_the_bias(scale):
    start = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0])
    steps = random_gradients(12, scale)
    optimizer, tensors = adamw(0.05), variables(*start)
    for gradients in steps:
        update(optimizer, tensors, gradients)
    expected = adam_in_numpy(start, steps, lambda step: 0.05, corrected=True)
    for tensor, value in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(numbers(tensor), value, rtol=1e-4, atol=1e-5)


def test_norms_and_biases_do_not_decay_and_everything_else_does():
    model = BertPretrainer(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=40, hidden_size=16)))
    decayed = {v.path for v in model.trainable_variables if takes_weight_decay(v)}
    spared = {v.path for v in model.trainable_variables} - decayed
    assert all(path.endswith(("/kernel", "_embeddings")) for path in decayed)
    assert all(path.endswith(("/bias", "/gamma", "/beta", "output_bias")) for path in spared)
    assert len(spared) > len(decayed) > 10
    # With zero gradients, only weights that decay change.
    optimizer = adamw(0.1, weight_decay=0.5)
    before = [numbers(v).copy() for v in model.trainable_variables]
    for variable in model.trainable_variables:
        variable.assign(ops.ones(variable.shape))
    update(optimizer, model.trainable_variables, [np.zeros(b.shape, "float32") for b in before])
    for variable in model.trainable_variables:
        np.testing.assert_allclose(numbers(variable), 0.95 if variable.path in decayed else 1.0, rtol=1e-6)


def test_accumulated_batches_are_one_large_batch_with_clipping_decay_and_schedule():
    start = np.ones((3, 2)), np.ones(2)
    steps = random_gradients(12, 3.0)
    schedule = LinearWarmupDecay(peak=0.1, warmup_steps=1, total_steps=4)
    large, small = variables(*start), variables(*start)
    large_optimizer, small_optimizer = adamw(schedule), adamw(schedule, accumulation_steps=3)
    for group in range(0, 12, 3):
        update(
            large_optimizer, large, [np.mean(parts, axis=0) for parts in zip(*steps[group : group + 3], strict=True)]
        )
    for gradients in steps:
        update(small_optimizer, small, gradients)
    for one, other in zip(large, small, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("accumulation_steps", [4, 6])
def test_on_a_ramp_more_and_more_batches_are_one_large_batch(accumulation_steps):
    ramp = AccumulationRamp(accumulation_steps, ramp_steps=9)
    sizes = [size for size, updates in ramp.stages for _ in range(updates)] + [accumulation_steps] * 2
    assert sizes == {4: [1] * 4 + [2, 2, 4, 4], 6: [1] * 3 + [2, 2, 3, 6, 6]}[accumulation_steps]
    assert ramp.updates(sum(sizes)) == ramp.updates(sum(sizes) + 1) == ramp.updates(sum(sizes) - 1) + 1 == len(sizes)
    start, steps = (np.ones((3, 2)), np.ones(2)), random_gradients(sum(sizes), 3.0)
    schedule = LinearWarmupDecay(peak=0.1, warmup_steps=1, total_steps=len(sizes))
    large, small = variables(*start), variables(*start)
    large_optimizer = adamw(schedule)
    small_optimizer = adamw(schedule, accumulation_steps=accumulation_steps, ramp_steps=9)
    remaining = iter(steps)
    for size in sizes:
        parts = [next(remaining) for _ in range(size)]
        update(large_optimizer, large, [np.mean(part, axis=0) for part in zip(*parts, strict=True)])
        for gradients in parts:
            update(small_optimizer, small, gradients)
        assert int(small_optimizer.iterations) == int(large_optimizer.iterations)
    for one, other in zip(large, small, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-5, atol=1e-6)


def test_the_average_decays_per_update_on_a_ramp_too():
    tensors = [keras.Variable(1.0, name="kernel")]
    optimizer = adamw(1e-30, weight_decay=0.0, ema=0.5, accumulation_steps=4, ramp_steps=4)  # updates of 1, 1, 2, 4, 4
    update(optimizer, tensors, [np.float32(1.0)])
    average = optimizer._model_variables_moving_average[0]
    average.assign(0.0)
    for size, expected in ((1, 0.5), (2, 0.75), (4, 0.875), (4, 0.9375)):
        for _ in range(size):
            update(optimizer, tensors, [np.float32(1.0)])
        assert float(average) == pytest.approx(expected)
    assert optimizer.ema_momentum == pytest.approx(0.5**0.25)


def test_a_repeated_token_counts_as_the_sum_of_its_gradients():
    inputs = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(5, 3, embeddings_initializer="ones")
    model = keras.Model(inputs, ops.sum(embedding(inputs), axis=1))
    optimizer = original_adamw(0.1, weight_decay=0.0, clip_norm=None)
    model.compile(optimizer, keras.losses.MeanAbsoluteError(), jit_compile=False)
    model.train_on_batch(np.array([[2, 2, 2, 1]]), np.zeros((1, 3)))
    # d loss / d row is 1/3 for each occurrence: 1 for token 2, so v = 0.001 * 1 and not 0.001 * 3 * (1/3)^2.
    squares = next(v for v in optimizer.variables if "velocity" in v.path)
    np.testing.assert_allclose(numbers(squares)[[2, 1, 0], 0], [1e-3, 1e-3 / 9, 0.0], rtol=1e-5)


KINDS = [(adamw, AdamW), (original_adamw, OriginalAdamW), (stable_adamw, StableAdamW), (lamb, Lamb)]


def corrected_moments(gradients, step):
    """The bias-corrected moments after `step` updates, in float64."""
    mean = square = np.zeros_like(np.float64(gradients[0]))
    for gradient in gradients[:step]:
        mean, square = 0.9 * mean + 0.1 * np.float64(gradient), 0.99 * square + 0.01 * np.float64(gradient) ** 2
    return mean / (1 - 0.9**step), square / (1 - 0.99**step)


def test_stable_adamw_follows_the_published_algorithm():
    start = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0])
    steps = [[0.01 * kernel, bias] for kernel, bias in random_gradients(3)]
    steps += [[100 * kernel, bias] for kernel, bias in random_gradients(2)]  # which AdamW would follow too far
    optimizer, tensors = stable_adamw(0.05, clip_norm=None, beta_2=0.99), variables(*start)
    expected, clipped = [np.array(value) for value in start], 0
    for number, gradients in enumerate(steps, start=1):
        update(optimizer, tensors, gradients)
        for i, history in enumerate(zip(*steps, strict=True)):
            mean, square = corrected_moments(history, number)
            rms = np.sqrt(np.mean(np.float64(gradients[i]) ** 2 / np.maximum(square, 1e-12)))
            clipped += rms > 1.5
            decay = 0.01 * expected[i] if expected[i].ndim > 1 else 0.0
            expected[i] = expected[i] - 0.05 / max(1.0, rms) * (decay + mean / (np.sqrt(square) + 1e-6))
    assert clipped
    for tensor, value in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(numbers(tensor), value, rtol=1e-4, atol=1e-5)


def test_lamb_takes_steps_of_the_norm_of_the_weights():
    start = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0])
    steps = random_gradients(4)
    optimizer, tensors = lamb(0.05, clip_norm=None, beta_2=0.99), variables(*start)
    expected = [np.array(value) for value in start]
    for number, gradients in enumerate(steps, start=1):
        update(optimizer, tensors, gradients)
        for i, history in enumerate(zip(*steps, strict=True)):
            mean, square = corrected_moments(history, number)
            direction = mean / (np.sqrt(square) + 1e-6)
            weight = expected[i] * (1 - 0.05 * 0.01 * (expected[i].ndim > 1))
            ratio = np.linalg.norm(weight) / np.linalg.norm(direction)
            expected[i] = weight - 0.05 * ratio * direction
    for tensor, value in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(numbers(tensor), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [make for make, _ in KINDS])
def test_each_block_takes_a_smaller_step_than_the_one_above_it(make):
    config = BertConfig.named("bert-tiny", vocab_size=40, hidden_size=16)
    model = BertPretrainer(BertBackbone.from_config(config))
    factors = layer_wise_factors(model, 0.5)
    for variable in model.trainable_variables:
        variable.assign(ops.ones(variable.shape))
    gradients = [np.ones(v.shape, "float32") for v in model.trainable_variables]
    update(make(0.1, weight_decay=0.1, clip_norm=None, rate_factors=factors), model.trainable_variables, gradients)
    steps = {v.path: float(ops.max(1.0 - v)) for v in model.trainable_variables}
    head, backbone = steps[model.masked_lm_head.transform_dense.kernel.path], model.backbone
    for layer, factor in zip([backbone.embeddings, *backbone.encoder_blocks], (0.125, 0.25, 0.5), strict=True):
        layer_steps = [steps[v.path] for v in layer.trainable_variables if takes_weight_decay(v)]
        np.testing.assert_allclose(layer_steps, factor * head, rtol=1e-2 if make is lamb else 1e-4)


@pytest.mark.parametrize(("make", "kind"), KINDS)
def test_an_optimizer_can_be_restored_from_its_config(make, kind):
    options = {"rate_factors": {"kernel": 0.5}, "ema": 0.9, "ramp_steps": 3}
    optimizer = make(LinearWarmupDecay(1e-3, 1, 5), accumulation_steps=2, **options)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    "arguments",
    [
        {"accumulation_steps": 0},
        {"accumulation_steps": 2, "ramp_steps": -1},
        {"ramp_steps": 5},
        {"weight_decay": -1.0},
        {"weight_decay": float("nan")},
        {"clip_norm": 0.0},
        {"clip_norm": float("inf")},
        {"beta_1": -0.1},
        {"beta_2": 1.0},
        {"beta_2": float("nan")},
        {"ema": 1.0},
        {"rate_factors": {"kernel": -1.0}},
    ],
)
def test_an_invalid_argument_is_refused_with_its_value(arguments):
    with pytest.raises(ValueError, match="Received: "):
        adamw(1e-3, **arguments)
