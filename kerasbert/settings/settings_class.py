"""Makes a class of settings: a frozen dataclass whose values are converted and checked by pydantic.

A value that cannot be used is a `BadInputError` with the rule, what was received (and in which file or option), and a
fix. Where values come from several places at once: `settings_from`.
"""

import contextvars
import dataclasses
import difflib
import functools
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import dataclass_transform

from kerasbert.errors import BadInputError
from kerasbert.settings.setting_info import SettingInfo, settings_of

Class = TypeVar("Class", bound=type)
Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class Source:
    """Values of settings from one place.

    Attributes:
        values: setting -> value.
        place: the place in words, e.g. "'fine-tune.yaml'".
        assignment: how a value is written there, with `{name}` and `{value}`.

    Example:
        >>> Source({"epochs": 5}, "'fine-tune.yaml'", "`{name}: {value}`").place
        "'fine-tune.yaml'"
    """

    values: Mapping[str, Any]
    place: str = ""
    assignment: str = "{name}={value!r}"


_SOURCES: contextvars.ContextVar[Sequence[Source]] = contextvars.ContextVar("_SOURCES", default=(Source({}),))


# Not `field_specifiers=(Field,)`: type checkers do not see defaults that `Field` takes by position.
@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings_class(cls: Class) -> Class:
    """Decorates a class of settings, which becomes a frozen dataclass with keyword arguments that are checked.

    Types are those of setting_types.py; help texts are the `description` of each `pydantic.Field`.

    Example:
        >>> from pydantic import Field
        >>> from kerasbert.settings.setting_types import Count
        >>> @settings_class
        ... class Training:
        ...     steps: Count = Field(100, description="Batches in all.")
        >>> Training(steps="1e3")
        Training(steps=1000)
        >>> Training(steps=0)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kerasbert.errors.BadInputError: `steps` must be a whole number, at least 1 ... Received: steps=0. ...
    """
    config = ConfigDict(extra="forbid", populate_by_name=True)
    made: Any = pydantic_dataclass(frozen=True, kw_only=True, config=config)(cls)
    made.__init__ = _with_clear_errors(made.__init__)
    return made


def settings_from(kind: type[Settings], sources: Sequence[Source]) -> Settings:
    """Makes an instance of a settings class from values in several places.

    Args:
        kind: the settings class.
        sources: the places. Later ones take precedence.

    Raises:
        BadInputError: A setting does not exist or has an invalid value. The message names the place.

    Example:
        >>> from kerasbert.settings import FineTuningParameters
        >>> file = Source({"epochs": 3, "batch_size": 16}, "'fine-tune.yaml'", "`{name}: {value}`")
        >>> settings = settings_from(FineTuningParameters, [file, Source({"epochs": 5}, "the command line")])
        >>> settings.epochs, settings.batch_size
        (5, 16)
    """
    token = _SOURCES.set(sources)
    try:
        merged: dict[str, Any] = {}
        for source in sources:
            _merge(merged, {_name_of(kind, name): value for name, value in source.values.items()})
        return kind(**merged)
    finally:
        _SOURCES.reset(token)


def _merge(values: dict[str, Any], later: Mapping[str, Any]) -> None:
    """Overrides values by later ones; mappings such as `resources` are merged entry by entry."""
    for name, value in later.items():
        if isinstance(value, Mapping) and isinstance(values.get(name), Mapping):
            inner = dict(values[name])
            _merge(inner, value)
            values[name] = inner
        else:
            values[name] = value


def _with_clear_errors(initialize: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that raises `BadInputError` in place of pydantic's error."""

    @functools.wraps(initialize)
    def checked(self: Any, **values: Any) -> None:
        try:
            initialize(self, **values)
        except ValidationError as error:
            raise _refused(type(self), error) from None

    return checked


def _name_of(kind: type, name: str) -> str:
    """The setting's own name, for one of its aliases."""
    return next((info.name for info in settings_of(kind).values() if name in info.aliases), name)


def _refused(kind: type, error: ValidationError) -> BadInputError:
    """The first of pydantic's complaints as an error in the house's order."""
    details = error.errors()[0]
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, BadInputError):
        return cause
    location = [str(part) for part in details["loc"]]
    # The place of a list's item is that of the list; a setting of several types has its own rule.
    path = [part for part in location if not part.isdigit()]
    if path[0] in settings_of(kind) and settings_of(kind)[path[0]].own_rule:
        path = path[:1]
    source = _source_of(kind, path[0])
    name, where = ".".join(path), f" in {source.place}" if source.place else ""
    owner = _owner(kind, path)
    if details["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return BadInputError(
            f"A setting must be one that exists. Received: `{name}`{where}. {_suggestion(owner, path)}"
        )
    info = settings_of(owner)[_name_of(owner, path[-1])] if owner is not kind or len(path) == 1 else None
    if details["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return BadInputError(f"`{name}` is required. Received: no value. {_fix(name, info, source)}")
    rule = info.rule if info else "a mapping"
    value = reprlib.repr(source.values.get(name, details["input"]))
    return BadInputError(f"`{name}` must be {rule}. Received: {name}={value}{where}. {_fix(name, info, source)}")


def _source_of(kind: type, name: str) -> Source:
    """The place whose value counts."""
    sources = _SOURCES.get()
    holders = [
        source
        for source in sources
        if name in {_name_of(kind, given) for given in source.values} or name in source.values
    ]
    return (holders or [source for source in sources if not source.place] or [Source({})])[-1]


def _owner(kind: type, path: Sequence[str]) -> type:
    """The settings class that has the last name of a path, e.g. of `resources.Trainer.cpu` or `vertex.endpoint`."""
    info = settings_of(kind).get(path[0])
    inner = info.item_class if info else None
    if info is None or inner is None:
        return kind
    return inner if len(path) > (1 if info.kind is inner else 2) else kind


def _suggestion(owner: type, path: Sequence[str]) -> str:
    """What to write in place of a name that does not exist."""
    prefix = "".join(f"{part}." for part in path[:-1])
    names = [name for info in settings_of(owner).values() for name in (info.name, *info.aliases)]
    likely = difflib.get_close_matches(path[-1], names, n=1)
    return f"Did you mean `{prefix}{likely[0]}`?" if likely else f"There are: {', '.join(sorted(names))}."


def _fix(name: str, info: SettingInfo | None, source: Source) -> str:
    """An example of a value that would be accepted, written as the reader would write it."""
    if info is None:
        return "Correct it."
    return f"For example, {source.assignment.format(name=name, value=info.example)}."
