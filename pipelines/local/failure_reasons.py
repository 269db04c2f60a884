"""Turns the exception of a component that failed into one line for the user."""

import re
from pathlib import Path

from kerasbert.errors import BadInputError, TrainingStoppedError

# Errors whose message is written for the user.
_CLEAR_ERRORS = (BadInputError, TrainingStoppedError, OSError)
_FULL_DISK = re.compile(r"(?:(?P<path>/[^;\n]*); )?No space left on device|database or disk is full")
_MOST_CHARACTERS = 500


def reason(error: BaseException, log: Path | None = None) -> str:
    """Returns what went wrong: the first error in the chain that was written for the user, or else the error itself.

    Args:
        error: The exception that ended the component.
        log: The file with TFX's and Beam's log, which is named if the error is not clear by itself.
    """
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    for found in chain:
        if isinstance(found, OSError) and found.strerror:
            place = f": {found.filename}" if found.filename else ""
            return f"{found.strerror}{place}. Free space, or check the path and its permissions."
        if isinstance(found, _CLEAR_ERRORS) and str(found):
            return " ".join(str(found).split())
    for found in chain:
        # TensorFlow and the SQLite file of the metadata report a full disk with their own errors.
        if full := _FULL_DISK.search(str(found)):
            return (
                f"No space left on device: {full['path'] or 'the metadata'}. "
                "Free space, or set `pipeline_root` to another folder."
            )
    message = " ".join(str(error).split()) or type(error).__name__
    shortened = f"{message[:_MOST_CHARACTERS]}{'...' if len(message) > _MOST_CHARACTERS else ''}"
    return f"{type(error).__name__}: {shortened} {look_into(log)}".strip()


def look_into(log: Path | None) -> str:
    """Returns the sentence that refers to the log, if there is one."""
    return f"See '{log}'." if log else ""
