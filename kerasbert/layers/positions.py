"""Positions that are computed instead of looked up: sines, rotations, and scores that depend on distances.

`BertEmbeddings` adds sines to the embeddings, `SelfAttention` uses the others.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

# B batch, T tokens, H hidden size, N heads, D head size


def sines(length: Any, size: int) -> Any:
    """Return sines and cosines of the positions 0 to T - 1 at size / 2 wavelengths, float32 `[T, size]`.

    Args:
        length: T.
        size: an even number.

    Source: Vaswani et al. 2017, section 3.5. The sines come first, as in tensor2tensor.

    Example:
        >>> [round(float(number), 3) for number in sines(2, 4)[1]]
        [0.841, 0.01, 0.54, 1.0]
    """
    angles = _angles(length, size, 10000.0, 1.0)
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


def rotated(states: Any, base: float, scaling: float) -> Any:
    """Return queries or keys of the same shape, rotated by their positions.

    Dimensions d and d + D/2 are rotated in their plane by the angle position / scaling * base^(-2d/D). The product of
    a rotated query and a rotated key depends on their distance only.

    Args:
        states: `[B, T, N, D]` with an even D.
        base: the longest wavelength is 2 pi times this number. A larger one suits longer texts.
        scaling: positions are divided by it, so that a model reads texts `scaling` times as long with angles that it
            knows (Chen et al. 2023, position interpolation).

    Source: Su et al. 2021, "RoFormer: Enhanced transformer with rotary position embedding".
    """
    length, size = ops.shape(states)[1], states.shape[-1]
    angles = ops.expand_dims(_angles(length, size, base, scaling), 1)  # [T, 1, D/2]
    sine, cosine = ops.cast(ops.sin(angles), states.dtype), ops.cast(ops.cos(angles), states.dtype)
    first, second = states[..., : size // 2], states[..., size // 2 :]
    return ops.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _angles(length: Any, size: int, base: float, scaling: float) -> Any:
    """Return position / scaling * base^(-2d / size), float32 [T, size / 2]."""
    rates = base ** (-np.arange(0, size, 2, dtype="float64") / size) / scaling
    positions = ops.cast(ops.arange(length), "float32")
    return ops.expand_dims(positions, 1) * ops.convert_to_tensor(rates.astype("float32"))


def distances(length: Any) -> Any:
    """Return j - i for the positions i and j, int32 `[T, T]`.

    Example:
        >>> ops.convert_to_numpy(distances(3)).tolist()
        [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]
    """
    positions = ops.arange(length, dtype="int32")
    return ops.expand_dims(positions, 0) - ops.expand_dims(positions, 1)


def alibi_slopes(heads: int) -> list[float]:
    """Return the slope of each head: 2^(-8h/N) for h = 1 to N, if N is a power of 2.

    For another N, those of the largest smaller power of 2, and then every second one of the next power of 2.

    Source: Press et al. 2022, "Train short, test long: attention with linear biases enables input length
    extrapolation".

    Example:
        >>> alibi_slopes(4)
        [0.25, 0.0625, 0.015625, 0.00390625]
    """
    known = 2 ** int(math.log2(heads))
    slopes = [2.0 ** (-8 * head / known) for head in range(1, known + 1)]
    between = [2.0 ** (-4 * head / known) for head in range(1, 2 * known + 1, 2)]
    return slopes + between[: heads - known]


def alibi_scores(length: Any, heads: int) -> Any:
    """Return what ALiBi adds to the scores, float32 `[N, T, T]`: minus slope times distance, in both directions."""
    slopes = ops.reshape(ops.convert_to_tensor(np.array(alibi_slopes(heads), "float32")), (heads, 1, 1))
    return -slopes * ops.cast(ops.abs(distances(length)), "float32")


def buckets(length: Any, number: int, farthest: int) -> Any:
    """Return the bucket of each distance, int32 `[T, T]`.

    Half of the buckets are for tokens before, half for tokens after. Half of these are for one distance each, the
    others for ranges that grow logarithmically up to `farthest`, from which on all distances share the last bucket.

    Args:
        length: T.
        number: number of buckets, a multiple of 4.
        farthest: the distance at which the last bucket begins at the latest.

    Source: Raffel et al. 2020 (T5), section 2.1; mesh_tensorflow, `_relative_position_bucket`.

    Example:
        >>> ops.convert_to_numpy(buckets(6, 8, 4))[0].tolist()
        [0, 5, 6, 7, 7, 7]
    """
    half, exact = number // 2, number // 4
    # The smallest distance of each bucket after the first: whole numbers, so that no rounding moves a boundary.
    starts = [
        *range(1, exact + 1),
        *(math.ceil(exact * (farthest / exact) ** (step / (half - exact)) - 1e-9) for step in range(1, half - exact)),
    ]
    absolute = ops.arange(length, dtype="int32")
    of_distance = ops.sum(
        ops.cast(ops.expand_dims(absolute, 1) >= ops.convert_to_tensor(np.array(starts, "int32")), "int32"), axis=1
    )  # [T]
    distance = distances(length)
    return ops.take(of_distance, ops.abs(distance)) + half * ops.cast(distance > 0, "int32")


def clipped(length: Any, farthest: int) -> Any:
    """Return `farthest + j - i`, clipped to 0 and 2 * farthest, int32 `[T, T]`: rows of a table of distances.

    Source: Shaw et al. 2018, "Self-attention with relative position representations".

    Example:
        >>> ops.convert_to_numpy(clipped(4, 2))[0].tolist()
        [2, 3, 4, 4]
    """
    return ops.clip(distances(length), -farthest, farthest) + farthest


def position_scores(
    position_type: str, table: keras.Variable | None, query: Any, length: Any, number: int, farthest: int
) -> Any:
    """Return what is added to the scores, float `[N, T, T]` or `[B, N, T, T]`; None if nothing is.

    Args:
        position_type: "alibi", "t5" or "relative"; another type adds nothing.
        table: `[buckets, N]` for "t5", `[2 * farthest + 1, D]` for "relative".
        query: scaled queries `[B, N, T, D]`.
        length: T.
        number: number of buckets.
        farthest: the distance from which on all distances are the same.
    """
    if position_type == "alibi":
        return alibi_scores(length, query.shape[1])
    if position_type == "t5":
        of_distance = ops.take(ops.convert_to_tensor(table), buckets(length, number, farthest), axis=0)  # [T, T, N]
        return ops.transpose(of_distance, (2, 0, 1))
    if position_type == "relative":
        keys = ops.take(ops.convert_to_tensor(table), clipped(length, farthest), axis=0)  # [T, T, D]
        return ops.einsum("bntd,tsd->bnts", query, keys)
    return None
