"""One version of a model through its life: START, LOADING, AVAILABLE, UNLOADING, END.

A version counts the requests that use it, so that it is unloaded only after the last. Which versions there should be is
decided in `model_store.py`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.statuses import ServingError


class State(IntEnum):
    """`ModelVersionStatus.State` of the API."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class ModelVersion:
    """A version folder and what became of it.

    Attributes:
        number: The version number.
        path: The folder.
        state: Where in its life the version is.
        error: Why it ended, if it failed.
        fingerprint: What the folder looked like when it was loaded, to notice that a failed one was mended.
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
        """Makes the version available."""
        self._servable = servable
        self.state = State.AVAILABLE

    def fail(self, error: ServingError) -> None:
        """Ends the version with the error that its status shows."""
        self.error = error
        self.state = State.END

    @contextmanager
    def in_use(self) -> Iterator[Servable | None]:
        """The servable, kept loaded meanwhile; None if the version is not available."""
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
        """Stops new requests from using the version."""
        with self._unused:
            if self.state is State.AVAILABLE:
                self.state = State.UNLOADING

    def unload(self, timeout: float | None = None) -> None:
        """Frees the model once the last request that uses it is answered."""
        with self._unused:
            self._unused.wait_for(lambda: not self._users, timeout)
            servable, self._servable = self._servable, None
        if servable is not None:
            servable.close()
        self.state = State.END


def fingerprint(path: Path) -> tuple:
    """Changes whenever the files of a version folder do."""
    try:
        files = [path, *sorted(path.rglob("*"))]
        return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        return ()
