"""Moves arrays between a checkpoint and our models, each weight checked by name, shape and type before any is set.

Names and layouts come from `weight_names.py`, files from the modules of each format.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import keras
import ml_dtypes
import numpy as np

from kerasbert.checkpoints.weight_names import (
    ENCODER_PARTS,
    Projection,
    WeightName,
    from_ours,
    shape_of,
    to_ours,
    weight_names,
)
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

_FLOATS = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)


def parts_present(arrays: Collection[str], format: str, parts: Iterable[str]) -> tuple[str, ...]:
    """Those of `parts` of which a checkpoint holds at least one weight."""
    return tuple(
        part for part in parts if any(row.named(format) in arrays for row in weight_names([part], num_hidden_layers=1))
    )


def labels_in_weights(arrays: Mapping[str, np.ndarray], format: str) -> int | None:
    """C by the bias of a checkpoint's classifier, or None if it has none."""
    (name,) = (row.named(format) for row in weight_names(["classifier"], 0) if row.axes == ("C",))
    bias = arrays.get(str(name))
    return None if bias is None else bias.size


def collect(
    arrays: Mapping[str, np.ndarray],
    rows: Iterable[WeightName],
    format: str,
    config: BertConfig,
    num_labels: int,
    origin: str,
) -> dict[str, np.ndarray]:
    """A checkpoint's arrays under our names and in our layout.

    Args:
        arrays: every weight of the checkpoint by its name in `format`.
        rows: the weights that must be there, and no others.
        format: a column of the table.
        config: gives the shapes.
        num_labels: C; 1 for a model without labels.
        origin: the files, for the message.

    Raises:
        BadInputError: a weight is missing, left over, of another shape or not a floating-point number. All are named.
    """
    by_name = {str(row.named(format)): row for row in rows}
    missing = [name for name in by_name if name not in arrays]
    left_over = [name for name in arrays if name not in by_name]
    wrong = []
    for name in by_name.keys() & arrays.keys():
        array, shape = arrays[name], shape_of(by_name[name], format, config, num_labels)
        if array.shape != shape:
            wrong.append(f"{name} has {list(array.shape)} and not {list(shape)}")
        elif array.dtype not in _FLOATS:
            wrong.append(f"{name} holds {array.dtype} and not floating-point numbers")
    problems = {"Missing": missing, "Left over": sorted(left_over), "Of another shape or type": sorted(wrong)}
    if any(problems.values()):
        found = " ".join(f"{problem}: {', '.join(names)}." for problem, names in problems.items() if names)
        raise BadInputError(
            f"{origin}: the weights must be exactly those that the config describes. Received: {found} "
            "Take config and weights from the same model; `load_backbone` takes the encoder without its heads."
        )
    return {row.ours: to_ours(row, format, arrays[name], config) for name, row in by_name.items()}


def assign(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Sets a model's weights, by our names."""
    for name, array in weights.items():
        _variable(model, name).assign(np.asarray(array))


def clear(model: keras.Model, rows: Iterable[WeightName]) -> None:
    """Sets weights that a checkpoint does not have to zero."""
    for row in rows:
        variable = _variable(model, row.ours)
        variable.assign(np.zeros(tuple(variable.shape), "float32"))


def extract(model: keras.Model, parts: Iterable[str], format: str, config: BertConfig) -> dict[str, np.ndarray]:
    """A model's weights as float32 under the names and in the layout of a format."""
    return {
        str(row.named(format)): from_ours(row, format, as_array(_variable(model, row.ours)), config)
        for row in weight_names(parts, config.num_hidden_layers, projections_of(model))
    }


def zero_parts(model: keras.Model, parts: Iterable[str]) -> tuple[str, ...]:
    """Those of `parts` whose weights are all zero: the checkpoint that the model came from did not have them."""
    rows = {part: weight_names([part], 0, projections_of(model)) for part in parts if part not in ENCODER_PARTS}
    return tuple(
        part
        for part, names in rows.items()
        if names and not any(as_array(_variable(model, row.ours)).any() for row in names)
    )


def projections_of(model: keras.Model) -> tuple[Projection, ...]:
    """The dense layers of a sentence encoder, each in the folder that it is written to; none of another model."""
    return tuple(
        Projection(layer.kernel.shape[0], layer.units, layer.use_bias, f"{index}_Dense")
        for index, layer in enumerate(getattr(model, "projection_layers", ()), start=2)
    )


def as_array(variable: Any) -> np.ndarray:
    """A Keras variable's value as float32."""
    return np.asarray(variable.numpy(), np.float32)


def resolve(root: Any, path: str) -> Any:
    """The object at a dotted path of attributes and list indices, such as `encoder_blocks.0.attention`."""
    for step in path.split("."):
        root = root[int(step)] if step.isdigit() else getattr(root, step)
    return root


def _variable(model: keras.Model, ours: str) -> Any:
    """The variable of one of our names. A bare backbone is its own `backbone`."""
    return resolve(model, ours if hasattr(model, "backbone") else ours.removeprefix("backbone."))
