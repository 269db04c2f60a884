"""Reads the JSON files of a checkpoint's folder and returns settings of a given type.

Such files are written by hand as well as by programs: the string `"false"` is not a flag, and a list is not a name.
What a setting means is up to the caller.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerasbert.argument_checks import check_rate
from kerasbert.checkpoints.formats.other_files import unreadable_file
from kerasbert.errors import BadInputError

_DOWNLOAD = "Download or copy it again."


def read_json_object(path: Path, remedy: str = _DOWNLOAD) -> dict[str, Any]:
    """Returns the object in a JSON file.

    Args:
        path: The file.
        remedy: What to do if the file is broken, for messages.

    Raises:
        BadInputError: The file is missing or does not contain a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise BadInputError(
            f"{path}: the file must exist. Received: a folder without it. Download or copy it from where the model is "
            "published."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable_file(path, "the file must be JSON", error, remedy) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: the file must be a JSON object. Received: a {type(values).__name__}. {remedy}")
    return values


@dataclasses.dataclass(frozen=True)
class JsonSettings:
    """A JSON object whose settings are checked when they are taken. A missing setting and null are both None, or empty.

    Every method that returns a setting raises `BadInputError`, with the file and the key, if it has another type.

    Attributes:
        path: The file, for messages.
        values: The object in the file, or an object inside that.
        remedy: What to do about a wrong setting, for messages.
        prefix: Where in the file the object is, e.g. "model.".
    """

    path: Path
    values: Mapping[str, Any]
    remedy: str = "Correct the file."
    prefix: str = ""

    @classmethod
    def read(cls, path: Path, remedy: str = "Correct the file.") -> "JsonSettings":
        """Returns the settings in a file, or no settings if the file does not exist."""
        return cls(path, read_json_object(path, remedy) if path.is_file() else {}, remedy)

    def flag(self, key: str) -> bool | None:
        """Returns true or false."""
        return self._checked(key, "true or false", lambda value: isinstance(value, bool))

    def text(self, key: str) -> str | None:
        """Returns a string."""
        return self._checked(key, "a string of Unicode characters", is_text)

    def texts(self, key: str) -> list[str]:
        """Returns a list of strings."""
        names = self._checked(
            key, "a list of strings", lambda value: isinstance(value, list) and all(map(is_text, value))
        )
        return names or []

    def whole_number(self, key: str, least: int) -> int | None:
        """Returns an integer. 8.0 is accepted, because some programs write every number as a fraction."""

        def fits(value: Any) -> bool:
            return (type(value) is int or (isinstance(value, float) and value.is_integer())) and value >= least

        number = self._checked(key, f"a whole number of at least {least}", fits)
        return None if number is None else int(number)

    def rate(self, key: str) -> float | None:
        """Returns a dropout rate."""
        if self.values.get(key) is None:
            return None
        try:
            return check_rate(key, self.values[key])
        except BadInputError as error:
            raise BadInputError(f"{self.path}: {error}") from None

    def section(self, key: str) -> "JsonSettings":
        """Returns the settings in an object inside this one."""
        values = self._checked(key, "a JSON object", lambda value: isinstance(value, dict))
        return self._inner(values or {}, key)

    def sections(self, key: str) -> "list[JsonSettings]":
        """Returns the settings in each object of a list."""
        objects = self._checked(
            key,
            "a list of JSON objects",
            lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        )
        return [self._inner(values, f"{key}[{index}]") for index, values in enumerate(objects or [])]

    def refusal(self, key: str, rule: str) -> BadInputError:
        """Returns the error for a setting that breaks a rule, which begins with "must"."""
        received = repr(self.values.get(key))[:200]
        return BadInputError(f"{self.path}: `{self.prefix}{key}` {rule}. Received: {received}. {self.remedy}")

    def _inner(self, values: Mapping[str, Any], place: str) -> "JsonSettings":
        return dataclasses.replace(self, values=values, prefix=f"{self.prefix}{place}.")

    def _checked(self, key: str, kind: str, fits: Callable[[Any], bool]) -> Any:
        value = self.values.get(key)
        if value is not None and not fits(value):
            raise self.refusal(key, f"must be {kind}")
        return value


def is_text(value: Any) -> bool:
    """Returns whether a value is a string that UTF-8 can write: JSON may contain half of a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
