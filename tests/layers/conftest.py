"""A plain NumPy reference of each formula, written from the papers, in float64. Shares no code with the layers."""

import math

import numpy as np
import pytest


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1.0 + np.vectorize(math.erf)(x / np.sqrt(2.0)))


def layer_norm(x, norm):
    gamma, beta = (np.asarray(weight, "float64") for weight in norm.get_weights())
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def dense(x, layer):
    kernel, bias = (np.asarray(weight, "float64") for weight in layer.get_weights())
    return x @ kernel + bias


def self_attention(x, layer, padding_mask=None):
    """Head by head and row by row, over the real tokens only."""
    batch, tokens, hidden = x.shape
    size = hidden // layer.num_attention_heads
    query, key, value = (dense(x, part) for part in (layer.query, layer.key, layer.value))
    context = np.zeros_like(x)
    for row in range(batch):
        real = np.arange(tokens) if padding_mask is None else np.flatnonzero(padding_mask[row])
        for head in range(layer.num_attention_heads):
            part = slice(head * size, (head + 1) * size)
            scores = query[row, :, part] @ key[row, real, part].T / math.sqrt(size)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            context[row, :, part] = weights @ value[row, real, part]
    return dense(context, layer.output_dense)


def feed_forward(x, layer, activation=gelu_tanh):
    return dense(activation(dense(x, layer.intermediate_dense)), layer.output_dense)


def encoder_block(x, block, padding_mask=None):
    x = layer_norm(x + self_attention(x, block.attention, padding_mask), block.attention_norm)
    return layer_norm(x + feed_forward(x, block.feed_forward), block.output_norm)


def shake(layer, seed=0):
    """Give every weight, biases and norms too, a value far from its initial one."""
    generator = np.random.default_rng(seed)
    layer.set_weights([generator.normal(0.0, 0.3, weight.shape).astype("float32") for weight in layer.get_weights()])


@pytest.fixture(scope="session")
def reference():
    """The functions above, as one object."""
    functions = (gelu_tanh, gelu_erf, layer_norm, dense, self_attention, feed_forward, encoder_block, shake)
    return type("Reference", (), {function.__name__: staticmethod(function) for function in functions})
