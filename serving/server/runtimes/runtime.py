"""Chooses what runs the SavedModels of a server, and describes what both runtimes can do."""

import importlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kerasbert_serving.server.options import TENSORFLOW_RUNTIMES
from kerasbert_serving.server.runtimes import c_library, c_runtime

log = logging.getLogger("kerasbert_serving")

AUTO, C_LIBRARY, PYTHON = TENSORFLOW_RUNTIMES


class LoadedModel(Protocol):
    """A SavedModel in a session."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The `SignatureDef` of each signature, by name."""

    def dtypes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the dtype numbers of tensors by their names in the graph, without those that do not exist."""

    def run(self, feeds: tuple[str, ...], arrays: Sequence[np.ndarray], fetches: tuple[str, ...]) -> list[np.ndarray]:
        """Computes the fetched tensors. Raises `ServingError` with TensorFlow's code and message."""

    def close(self) -> None:
        """Frees the model. Runs that are not finished fail with CANCELLED."""


@dataclass(frozen=True)
class Runtime:
    """What runs SavedModels.

    Attributes:
        name: Either "c-library" or "python".
        description: A phrase for people, e.g. "TensorFlow 2.16.2 (C library)".
        load: Loads a version folder. The second argument is the number of threads of a session, 0 for TensorFlow's
            default. Raises `ServingError`.
    """

    name: str
    description: str
    load: Callable[[Path, int], LoadedModel]


def find_runtime(choice: str = AUTO) -> Runtime:
    """Loads and returns a runtime.

    Args:
        choice: Either "c-library", "python", or "auto", which is the C library if it can be loaded.

    Raises:
        ValueError: If the C library is required but cannot be loaded.
    """
    if choice == PYTHON:
        return _python_runtime()
    try:
        library = c_library.load()
    except c_library.LibraryError as error:
        if choice == C_LIBRARY:
            raise ValueError(
                f"`tensorflow_runtime` must not be '{C_LIBRARY}' if TensorFlow's C library cannot be loaded. "
                f"Received: '{choice}' ({error}). Choose '{AUTO}' or '{PYTHON}', which import the Python package."
            ) from error
        log.info("TensorFlow's C library is not used: %s", error)
        return _python_runtime()
    description = f"TensorFlow {library.version} (C library)"
    return Runtime(C_LIBRARY, description, lambda path, threads: c_runtime.CModel(library, path, threads))


def _python_runtime() -> Runtime:
    # Imported here because TensorFlow's Python package takes seconds and hundreds of megabytes.
    python_runtime = importlib.import_module("kerasbert_serving.server.runtimes.python_runtime")
    return Runtime(PYTHON, f"TensorFlow {python_runtime.VERSION} (Python package)", python_runtime.PythonModel)
