"""Similarities and distances of vectors, row by row or of all pairs, with finite gradients for equal and zero vectors.

All take and return tensors of the same float type.
"""

from typing import Any

from keras import ops

# B rows, D other rows, E numbers of a vector


def unit_vectors(vectors: Any) -> Any:
    """Return vectors `[..., E]`, scaled to length 1. Vectors of zeros stay zeros."""
    return vectors * ops.rsqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1e-24))


def dots(first: Any, second: Any) -> Any:
    """Return the dot product of each row `[B]`, from `[B, E]` and `[B, E]`."""
    return ops.sum(first * second, axis=-1)


def cosines(first: Any, second: Any) -> Any:
    """Return the cosine similarity of each row `[B]`, from `[B, E]` and `[B, E]`."""
    return dots(unit_vectors(first), unit_vectors(second))


def all_cosines(first: Any, second: Any) -> Any:
    """Return the cosine similarities of all pairs `[B, D]`, from `[B, E]` and `[D, E]`."""
    return ops.matmul(unit_vectors(first), ops.transpose(unit_vectors(second)))


def all_euclidean(vectors: Any) -> Any:
    """Return the Euclidean distances of all pairs `[B, B]`, from `[B, E]`."""
    products = ops.matmul(vectors, ops.transpose(vectors))  # [B, B]
    squares = ops.diagonal(products)
    squared = ops.expand_dims(squares, 0) - 2.0 * products + ops.expand_dims(squares, 1)
    is_positive = squared > 0.0
    return ops.where(is_positive, ops.sqrt(ops.where(is_positive, squared, 1.0)), 0.0)


def euclidean(first: Any, second: Any) -> Any:
    """Return the Euclidean distance of each row `[B]`, with PyTorch's 1e-6 in each difference."""
    return ops.sqrt(ops.sum(ops.square(first - second + 1e-6), axis=-1))
