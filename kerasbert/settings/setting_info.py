"""What a settings class declares about each setting, in a form that options, tables and messages are derived from."""

import dataclasses
import functools
import os
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kerasbert.settings.setting_types import Flags, Rule

_BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
_NUMBERS = {int: "a whole number", float: "a finite number"}


@dataclasses.dataclass(frozen=True)
class SettingInfo:
    """One setting.

    Attributes:
        name: the setting's name in Python and YAML.
        kind: `int`, `float`, `bool`, `str`, `dict`, or another settings class.
        item_class: the settings class of a mapping's values, or that of the mapping itself, which then is `kind` too.
        is_list: whether it takes several values.
        is_optional: whether it may be None.
        is_path: whether a text is a path.
        choices: the values that a text may have; empty for any.
        bounds: the range of a number: "ge", "gt", "le" and "lt", as in pydantic.
        min_length: the minimum number of characters of a text.
        own_rule: the rule and an example, where the type does not say them.
        default: the default value, or `dataclasses.MISSING` if a value is required.
        help: what the setting means.
        flags: how a command spells it, where that does not follow from the name.
        aliases: other names that are accepted.

    Example:
        >>> from kerasbert.settings import FineTuningSettings
        >>> epochs = settings_of(FineTuningSettings)["epochs"]
        >>> epochs.kind, epochs.default, epochs.bounds["ge"]
        (<class 'int'>, 3, 1)
    """

    name: str
    kind: type
    item_class: type | None
    is_list: bool
    is_optional: bool
    is_path: bool
    choices: tuple[str, ...]
    bounds: dict[str, float]
    min_length: int
    own_rule: Rule | None
    default: Any
    help: str
    flags: Flags | None
    aliases: tuple[str, ...]

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is dataclasses.MISSING

    @property
    def rule(self) -> str:
        """What a value must be, in words.

        Example:
            >>> from kerasbert.settings import FineTuningSettings
            >>> settings_of(FineTuningSettings)["epochs"].rule
            'a whole number, at least 1 and at most 2147483647'
        """
        if self.own_rule:
            return self.own_rule.text
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind is bool:
            return "true or false"
        if self.kind in _NUMBERS:
            bounds = [f"{_BOUNDS[bound]} {value}" for bound, value in self.bounds.items()]
            return f"{_NUMBERS[self.kind]}, {' and '.join(bounds)}" if bounds else _NUMBERS[self.kind]
        if self.kind is str:
            return "a list of texts" if self.is_list else "text that is not empty" if self.min_length else "text"
        return "a mapping"

    @property
    def example(self) -> Any:
        """A value that would be accepted: the default where that says something."""
        if self.default not in (None, "", (), {}, dataclasses.MISSING) and self.kind is not self.item_class:
            return self.default
        if self.own_rule or self.choices:
            return self.own_rule.example if self.own_rule else self.choices[0]
        if self.kind in _NUMBERS:
            return self.kind(self.bounds.get("ge", self.bounds.get("gt", 0) + 0.1 if self.kind is float else 1))
        if self.kind is self.item_class:
            first = next(iter(settings_of(self.kind).values()))
            return {first.name: first.example}
        examples: dict[type, Any] = {bool: True, dict: {"Trainer": {"cpu": 4}}}
        return examples.get(self.kind, self.name)


@functools.cache
def settings_of(settings_class: type) -> dict[str, SettingInfo]:
    """Returns name -> what is declared about it, for every setting of a settings class.

    Args:
        settings_class: The class.

    Example:
        >>> from kerasbert.settings import RunSettings
        >>> settings_of(RunSettings)["output"].is_required
        True
    """
    fields: dict[str, FieldInfo] = settings_class.__pydantic_fields__  # type: ignore[attr-defined]
    return {name: _described(name, field) for name, field in fields.items()}


def _described(name: str, field: FieldInfo) -> SettingInfo:
    parts = [*_parts(field.annotation), *field.metadata]
    kinds = [part for part in parts if isinstance(part, type)]
    choices = [part.values for part in parts if isinstance(part, _Choices)]
    kind = str if choices else next(kind for kind in kinds if kind not in (tuple, type(None)))
    item_class = next((part for part in kinds if hasattr(part, "__pydantic_fields__")), None)
    default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
    alias = field.validation_alias
    aliases = [choice for choice in getattr(alias, "choices", []) if choice != name]
    return SettingInfo(
        name=name,
        kind=kind,
        item_class=item_class,
        is_list=tuple in kinds,
        is_optional=type(None) in kinds,
        is_path=any(getattr(part, "func", None) is os.path.expanduser for part in parts),
        choices=choices[0] if choices else (),
        bounds={bound: getattr(part, bound) for part in parts for bound in _BOUNDS if hasattr(part, bound)},
        min_length=max((getattr(part, "min_length", 0) for part in parts), default=0),
        own_rule=next((part for part in parts if isinstance(part, Rule)), None),
        default=dataclasses.MISSING if default is PydanticUndefined else default,
        help=field.description or "",
        flags=next((part for part in parts if isinstance(part, Flags)), None),
        aliases=tuple(aliases),
    )


@dataclasses.dataclass(frozen=True)
class _Choices:
    values: tuple[str, ...]


def _parts(hint: Any) -> Iterator[Any]:
    """The plain types and the metadata in a type hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        yield from _parts(arguments[0])
        for metadata in arguments[1:]:
            yield from getattr(metadata, "metadata", None) or [metadata]
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _parts(argument)
    elif origin is Literal:
        yield _Choices(tuple(map(str, arguments)))
    elif origin is tuple:
        yield tuple
        yield from _parts(arguments[0])
    elif origin is dict:
        yield dict
        yield from _parts(arguments[1])
    else:
        yield hint
