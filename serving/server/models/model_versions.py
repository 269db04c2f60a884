"""The states of a model version: START, LOADING, AVAILABLE, UNLOADING, END.

A version counts the requests that use it, and is unloaded after the last one. Deciding which versions are loaded is
left to `model_store.py`. Finding them in the model's folder is part of this module.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.statuses import ServingError
from kerasbert_serving.server.unused_memory import release_unused_memory


class State(IntEnum):
    """`ModelVersionStatus.State` of the API."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class ModelVersion:
    """A version of a model and its state.

    Args:
        number: The version number.
        path: The version folder.

    Attributes:
        number: The version number.
        path: The version folder.
        state: The state of the version.
        error: The reason if the version failed, else None.
        fingerprint: The fingerprint of the folder when it was loaded. Another one shows that a failed version was
            fixed.
    """

    def __init__(self, number: int, path: Path):
        self.number = number
        self.path = path
        self.state = State.START
        self.error: ServingError | None = None
        self.fingerprint = fingerprint(path)
        self._servable: Servable | None = None
        self._users = 0
        self._unused = threading.Condition()

    def publish(self, servable: Servable) -> None:
        """Makes the version available to requests."""
        self._servable = servable
        self.state = State.AVAILABLE

    def fail(self, error: ServingError) -> None:
        """Ends the version with an error, which its status reports."""
        self.error = error
        self.state = State.END

    @contextmanager
    def in_use(self) -> Iterator[Servable | None]:
        """Yields the servable, which stays loaded until the block ends, or None if the version is not available."""
        with self._unused:
            servable = self._servable if self.state is State.AVAILABLE else None
            self._users += 1
        try:
            yield servable
        finally:
            with self._unused:
                self._users -= 1
                if not self._users:
                    self._unused.notify_all()

    def retire(self) -> None:
        """Makes the version unavailable to new requests."""
        with self._unused:
            if self.state is State.AVAILABLE:
                self.state = State.UNLOADING

    def unload(self, timeout: float | None = None) -> None:
        """Frees the model after the last request that uses it, or after `timeout` seconds."""
        with self._unused:
            self._unused.wait_for(lambda: not self._users, timeout)
            servable, self._servable = self._servable, None
        if servable is not None:
            servable.close()
            del servable
            release_unused_memory()
        self.state = State.END


def fingerprint(path: Path) -> tuple:
    """Returns a value that changes whenever the files in a version folder change."""
    try:
        files = [path, *sorted(path.rglob("*"))]
        return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        return ()


_NUMBER = re.compile("[0-9]+")


def version_folders(base_path: Path) -> dict[int, Path] | None:
    """Returns the version folders of a model by number, or None if the base path does not exist."""
    try:
        children = list(base_path.iterdir())
    except OSError:
        return None
    folders = {int(child.name): child for child in sorted(children) if _NUMBER.fullmatch(child.name)}
    return {number: folder for number, folder in folders.items() if number < 2**63}
