"""Reads the JSON files of a checkpoint's folder, and takes out settings of a known kind.

Such files are written by hand as well as by programs: `"false"` is no false, and a list is no name. What a setting
means is left to who asks for it.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerasbert.argument_checks import check_rate
from kerasbert.errors import BadInputError


def read_json_object(path: Path, remedy: str = "Copy or download it again.") -> dict[str, Any]:
    """The object in a JSON file that must be there.

    Args:
        path: the file.
        remedy: what to do about a broken one, for messages.

    Raises:
        BadInputError: there is no such file, or no JSON object in it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: the file must be JSON. Received: {error}. {remedy}") from error
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: the file must be a JSON object. Received: a {type(values).__name__}. {remedy}")
    return values


@dataclasses.dataclass(frozen=True)
class JsonSettings:
    """A JSON object whose settings are checked as they are taken. A missing one and null are both None, or empty.

    Every method that takes a setting raises `BadInputError`, with the file and the key, if it is of another kind.

    Attributes:
        path: the file, for messages.
        values: its object, or one inside it.
        remedy: what to do about a wrong setting, for messages.
        prefix: where in the file the object is, such as "model.".
    """

    path: Path
    values: Mapping[str, Any]
    remedy: str = "Mend the file."
    prefix: str = ""

    @classmethod
    def read(cls, path: Path, remedy: str = "Mend the file.") -> "JsonSettings":
        """The settings in a file; none at all if there is no such file."""
        return cls(path, read_json_object(path, remedy) if path.is_file() else {}, remedy)

    def flag(self, key: str) -> bool | None:
        """True or false."""
        return self._checked(key, "true or false", lambda value: isinstance(value, bool))

    def text(self, key: str) -> str | None:
        """A string."""
        return self._checked(key, "a string of Unicode characters", is_text)

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        names = self._checked(
            key, "a list of strings", lambda value: isinstance(value, list) and all(map(is_text, value))
        )
        return names or []

    def whole_number(self, key: str, least: int) -> int | None:
        """A finite number without a fraction; 8.0 is one, because some programs write every number so."""

        def fits(value: Any) -> bool:
            return (type(value) is int or (isinstance(value, float) and value.is_integer())) and value >= least

        number = self._checked(key, f"a whole number of at least {least}", fits)
        return None if number is None else int(number)

    def rate(self, key: str) -> float | None:
        """A dropout rate."""
        if self.values.get(key) is None:
            return None
        try:
            return check_rate(key, self.values[key])
        except BadInputError as error:
            raise BadInputError(f"{self.path}: {error}") from None

    def section(self, key: str) -> "JsonSettings":
        """The settings in an object inside this one."""
        values = self._checked(key, "a JSON object", lambda value: isinstance(value, dict))
        return self._inner(values or {}, key)

    def sections(self, key: str) -> "list[JsonSettings]":
        """The settings in each object of a list."""
        objects = self._checked(
            key,
            "a list of JSON objects",
            lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        )
        return [self._inner(values, f"{key}[{index}]") for index, values in enumerate(objects or [])]

    def refusal(self, key: str, rule: str) -> BadInputError:
        """The error that a setting breaks a rule, which begins with "must"."""
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
    """Whether a value is a string that UTF-8 can write: JSON may also hold one half of a pair of surrogates."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
