"""Comparisons for the rules, whose errors state the rule and the result."""

import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


def flatten(outputs: Any) -> list[np.ndarray]:
    """Return all outputs as float32 arrays, in a fixed order."""
    return [keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")) for output in keras.tree.flatten(outputs)]


def config_text(thing: keras.layers.Layer) -> str:
    """Return the config as JSON text, as in a `.keras` file."""
    return json.dumps(keras.saving.serialize_keras_object(thing)["config"], sort_keys=True)


def check_attributes(layer: keras.layers.Layer, arguments: Mapping[str, Any], when: str) -> None:
    """Check that each argument is an attribute with the same name and value."""
    for name, value in arguments.items():
        require(hasattr(layer, name), f"The argument `{name}` must be an attribute {when}.", "none")
        same = getattr(layer, name) is value or bool(np.all(getattr(layer, name) == value))
        require(same, f"The attribute `{name}` must be {value!r} {when}.", getattr(layer, name))


def check_equal(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float, rule: str) -> None:
    """Check that all arrays are equal within the tolerance, and contain no NaN."""
    for ours, theirs in zip(found, expected, strict=True):
        require(ours.shape == theirs.shape, f"{rule} Expected the shape {theirs.shape}.", ours.shape)
        difference = float(np.max(np.abs(ours - theirs), initial=0.0))
        require(difference <= tolerance, f"{rule} Allowed difference: {tolerance}.", difference)


def require(condition: bool, rule: str, received: Any) -> None:
    """Raise an error with the rule and the result unless the condition holds."""
    if not condition:
        raise AssertionError(f"{rule} Received: {received}")
