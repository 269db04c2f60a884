"""Moves arrays between a checkpoint and a model. Names, shapes and types are checked before any weight is set.

The names and axis orders come from `weight_names.py`, the files from the modules in `formats/`.
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
    """Returns those of `parts` of which a checkpoint has at least one weight."""
    return tuple(part for part in parts if any(row.named(format) in arrays for row in weight_names([part])))


def with_rows_of_weights(
    config: BertConfig, arrays: Mapping[str, np.ndarray], format: str
) -> tuple[BertConfig, tuple[str, ...]]:
    """Takes the size of the vocabulary from the word embedding itself where the config has another one.

    Args:
        config: The config as its file has it.
        arrays: The weights by their names in `format`.
        format: A column of the weight table.

    Returns:
        The config with the number of rows of the word embedding as `vocab_size`, and a note if it was another one.
    """
    name = next(row.named(format) for row in weight_names(["embeddings"]) if row.axes == ("V", "H"))
    array = arrays.get(str(name))
    if array is None or array.ndim != 2 or not len(array) or len(array) == config.vocab_size:
        return config, ()
    note = f"The config has vocab_size={config.vocab_size}; the {len(array)} rows of the word embedding are used."
    return config.replace(vocab_size=len(array)), (note,)


def labels_in_weights(arrays: Mapping[str, np.ndarray], format: str) -> int | None:
    """Returns the number of labels according to the bias of the classifier, or None if there is no classifier."""
    (name,) = (row.named(format) for row in weight_names(["classifier"]) if row.axes == ("C",))
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
    """Returns a checkpoint's arrays under our names and in our axis order.

    Args:
        arrays: Every weight of the checkpoint by its name in `format`.
        rows: The weights that the checkpoint must have. It must have no others.
        format: A column of the weight table.
        config: The config that determines the shapes.
        num_labels: The number of labels, or 1 for a model without labels.
        origin: The files, for the message.

    Raises:
        BadInputError: A weight is missing, unexpected, of another shape or not a floating-point number. The message
            names all of them.
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
            wrong.append(f"{name} has {array.dtype} and not floating-point numbers")
    problems = {"Missing": missing, "Left over": sorted(left_over), "Of another shape or type": sorted(wrong)}
    if any(problems.values()):
        found = " ".join(f"{problem}: {', '.join(names)}." for problem, names in problems.items() if names)
        raise BadInputError(
            f"{origin}: the weights must be exactly those that the config describes. Received: {found} "
            "Use config and weights of the same model; `load_backbone` loads the encoder without its heads."
        )
    return {row.ours: to_ours(row, format, arrays[name], config) for name, row in by_name.items()}


def assign(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Sets a model's weights by our names."""
    for name, array in weights.items():
        _variable(model, name).assign(np.asarray(array))


def clear(model: keras.Model, rows: Iterable[WeightName]) -> None:
    """Sets to zero the weights that a checkpoint does not have."""
    for row in rows:
        variable = _variable(model, row.ours)
        variable.assign(np.zeros(tuple(variable.shape), "float32"))


def extract(model: keras.Model, parts: Iterable[str], format: str, config: BertConfig) -> dict[str, np.ndarray]:
    """Returns a model's weights as float32, under the names and in the axis order of a format."""
    return {
        str(row.named(format)): from_ours(row, format, as_array(_variable(model, row.ours)), config)
        for row in weight_names(parts, config, projections_of(model))
    }


def zero_parts(model: keras.Model, parts: Iterable[str]) -> tuple[str, ...]:
    """Returns those of `parts` whose weights are all zero: the model's checkpoint did not have them."""
    rows = {
        part: weight_names([part], projections=projections_of(model)) for part in parts if part not in ENCODER_PARTS
    }
    return tuple(
        part
        for part, names in rows.items()
        if names and not any(as_array(_variable(model, row.ours)).any() for row in names)
    )


def projections_of(model: keras.Model) -> tuple[Projection, ...]:
    """Returns the dense layers of a sentence encoder with their folders; nothing for another model."""
    return tuple(
        Projection(layer.kernel.shape[0], layer.units, layer.use_bias, f"{index}_Dense")
        for index, layer in enumerate(getattr(model, "projection_layers", ()), start=2)
    )


def as_array(variable: Any) -> np.ndarray:
    """Returns the value of a Keras variable as float32."""
    return np.asarray(variable.numpy(), np.float32)


def resolve(root: Any, path: str) -> Any:
    """Returns the object at a path of attributes and list indices, e.g. `encoder_blocks.0.attention`."""
    for step in path.split("."):
        root = root[int(step)] if step.isdigit() else getattr(root, step)
    return root


def _variable(model: keras.Model, ours: str) -> Any:
    """The variable with one of our names. A `BertBackbone` is its own `backbone`."""
    return resolve(model, ours if hasattr(model, "backbone") else ours.removeprefix("backbone."))
