"""Restores the error that a Beam worker raised.

Beam reports it as a RuntimeError whose message contains the traceback. Users should see the one line that was written
for them.
"""

import contextlib
import re
from collections.abc import Iterator

from kerasbert.errors import BadInputError

# The last line of a Python traceback, and what Beam appends to it.
_ERROR = re.compile(
    r"^(?:kerasbert\.errors\.BadInputError|(?P<os>OSError|FileNotFoundError|PermissionError)): "
    r"(?P<message>.*?)(?: \[while running .*)?$",
    re.MULTILINE,
)


@contextlib.contextmanager
def plain_beam_errors() -> Iterator[None]:
    """Raises the worker's exception instead of Beam's.

    Raises:
        BadInputError: If a worker found text that cannot be used.
        OSError: If a worker could not read or write a file.
    """
    try:
        yield
    except RuntimeError as error:
        found = _ERROR.search(str(error))
        if found is None:
            raise
        kind = OSError if found["os"] else BadInputError
        raise kind(found["message"]) from error
