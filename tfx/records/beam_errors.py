"""Gives back the error that a Beam worker met.

Beam hands it over as the text of a traceback inside a RuntimeError; users want the one line that was written for them.
"""

import contextlib
import re
from collections.abc import Iterator

from kerasbert.errors import BadInputError

# The last line of a Python traceback, and what Beam puts behind it.
_ERROR = re.compile(
    r"^(?:kerasbert\.errors\.BadInputError|(?P<os>OSError|FileNotFoundError|PermissionError)): "
    r"(?P<message>.*?)(?: \[while running .*)?$",
    re.MULTILINE,
)


@contextlib.contextmanager
def plain_beam_errors() -> Iterator[None]:
    """Turns what a worker said into the exception that it was.

    Raises:
        BadInputError: a worker met text that cannot be used.
        OSError: a worker could not read or write a file.
    """
    try:
        yield
    except RuntimeError as error:
        found = _ERROR.search(str(error))
        if found is None:
            raise
        kind = OSError if found["os"] else BadInputError
        raise kind(found["message"]) from error
