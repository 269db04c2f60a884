"""Turns YAML values into the fields of a settings dataclass, or refuses them: which key, in which file, what is wrong.

Knows nothing of pipelines: see settings.py.
"""

import contextlib
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

import yaml

from kerasbert.errors import BadInputError

Settings = TypeVar("Settings")

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class Range:
    """The finite numbers within some bounds, as in `Annotated[int, Range(at_least=1)]`.

    Example:
        >>> 0.5 in Range(above=0, at_most=1), float("nan") in Range()
        (True, False)
        >>> Range(above=0, at_most=1).rule(float)
        'a finite number, above 0 and at most 1'
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def rule(self, kind: type) -> str:
        """What a number of a kind must be, in words."""
        number = "a whole number" if kind is int else "a finite number"
        bounds = [f"{name.replace('_', ' ')} {bound}" for name, bound in vars(self).items() if bound is not None]
        return f"{number}, {' and '.join(bounds)}" if bounds else number


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        BadInputError: the file is missing, is no YAML, or holds something other than `setting: value` lines.
    """
    rule = "A settings file must be YAML with one `setting: value` a line."
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{rule} Received: '{path}' ({reason}). Check the path.") from error
    try:
        values = yaml.load(text, _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-45
        raise BadInputError(f"{rule} Received: '{path}' ({' '.join(str(error).split())}). Correct it.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadInputError(
            f"{rule} Received: '{path}', which holds a {type(values).__name__}. Write such as `seed: 1`."
        )
    return values


def checked_settings(kind: type[Settings], sources: Sequence[tuple[str, Mapping[str, Any]]]) -> Settings:
    """An instance of a settings dataclass.

    Args:
        kind: the dataclass. `Annotated` types of its fields carry a `Range`, or a function that a value goes through.
        sources: (place in words, setting -> value). Later ones win; each is checked.

    Raises:
        BadInputError: a setting is unknown, or has a value that it cannot have.
    """
    values: dict[str, Any] = {}
    for place, given in sources:
        values.update(_checked(kind, given, place))
    return kind(**values)


def _checked(kind: type, given: Mapping[str, Any], place: str, prefix: str = "") -> dict[str, Any]:
    hints = _settings_of(kind)
    for name in given:
        if name not in hints:
            likely = difflib.get_close_matches(str(name), hints, n=1)
            remedy = f"Did you mean `{prefix}{likely[0]}`?" if likely else f"There are: {', '.join(sorted(hints))}."
            raise BadInputError(f"A setting must be one that there is. Received: `{prefix}{name}` in {place}. {remedy}")
    return {name: _converted(value, hints[name], f"{prefix}{name}", place) for name, value in given.items()}


def _settings_of(kind: type) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _converted(value: Any, hint: Any, name: str, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (hint,) = [argument for argument in arguments if argument is not type(None)]
        return _converted(value, hint, name, place)
    if origin is Annotated:
        hint, rule = arguments
        value = _converted(value, hint, name, place)
        if isinstance(rule, Range):
            return _require(value in rule, value, rule.rule(hint), name, place)
        return rule(value)
    if origin is Literal:
        return _require(value in arguments, value, f"one of {', '.join(map(str, arguments))}", name, place)
    if origin is tuple:
        texts = [value] if isinstance(value, str) else value
        _require(isinstance(texts, list | tuple), value, "a list", name, place)
        return tuple(_converted(text, arguments[0], name, place) for text in texts)
    if origin is dict:
        _require(isinstance(value, Mapping), value, "a mapping", name, place)
        return {str(key): _converted(item, arguments[1], f"{name}.{key}", place) for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        _require(isinstance(value, Mapping), value, "a mapping", name, place)
        return hint(**_checked(hint, value, place, f"{name}."))
    return _plain(value, hint, name, place)


def _plain(value: Any, kind: type, name: str, place: str) -> Any:
    """A text, a number or a truth value."""
    if kind is float and isinstance(value, str):
        # YAML 1.1 reads 1e-4, without a point, as text.
        with contextlib.suppress(ValueError):
            value = float(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        # An integer beyond what a float holds stays one, and is refused below.
        with contextlib.suppress(OverflowError):
            value = float(value)
    is_right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return _require(is_right, value, _WORDS[kind], name, place)


def _require(is_right: bool, value: Any, rule: str, name: str, place: str) -> Any:
    if is_right:
        return value
    raise BadInputError(f"`{name}` must be {rule}. Received: {name}={value!r} in {place}. Correct it there.")


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a name that comes twice, of which YAML's own loader silently takes the last."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """The mapping as it is written, before `<<` brings in names that it may override."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a name must be text", key.start_mark)
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` comes twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node
