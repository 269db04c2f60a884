"""What a format consists of. Each format has a module of its own; writing.py lists them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

# A loaded file: a function from the arrays of a batch, by the name of the input, to the outputs by name.
Runtime = Callable[[dict[str, np.ndarray]], Mapping[str, Any]]


class GraphFormat(NamedTuple):
    """One format.

    Attributes:
        title: its name for people.
        name: its name as an argument, which is also the name of its folder and of kerasbert's extra.
        file: the name of its file, or of the first one, in its folder.
        dtype: the dtype of the graph's inputs.
        largest_size: the largest number of bytes of weights that a file can contain, or None.
        check_available: raises `ImportError` if a package is missing, and `BadInputError` if Keras is too old.
        write: writes a model with Hugging Face's names to a path.
        load: loads the file at a path with the format's own runtime.
    """

    title: str
    name: str
    file: str
    dtype: str
    largest_size: int | None
    check_available: Callable[[], None]
    write: Callable[[keras.Model, Path], None]
    load: Callable[[Path], Runtime]


def input_signature(model: keras.Model) -> list[Any]:
    """Return the model's inputs as Keras' exporters take them, so that the model need not have been called."""
    specs = {name: keras.InputSpec(shape=x.shape, dtype=x.dtype, name=name) for name, x in model.input.items()}
    return [specs]
