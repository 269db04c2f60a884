"""Click options that are derived from a settings class: name, type, range, default and help text."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from kerasbert.cli.options.option_names import named_as_options
from kerasbert.cli.options.option_types import AnyNumber, FiniteNumber, NotEmpty, ValueFlag, WholeNumber
from kerasbert.settings import SettingInfo, settings_of

Settings = TypeVar("Settings")

# A limit that no one reaches is left out of the help text.
_LARGE = 2**31 - 1


def settings_options(settings_class: type, *names: str, without: Iterable[str] = ()) -> Callable[[Any], Any]:
    """Returns a decorator that adds options for settings.

    Args:
        settings_class: The class that declares them.
        *names: The settings to add, in this order. By default, all settings of the class.
        without: Settings to leave out.
    """
    infos = settings_of(settings_class)
    wanted = [name for name in names or infos if name not in set(without)]

    def decorate(command: Any) -> Any:
        for name in reversed(wanted):
            command = _option(infos[name], infos)(command)
        return command

    return decorate


def taken_settings(settings_class: Callable[..., Settings], values: dict[str, Any]) -> Settings:
    """Returns the settings of a class from a command's values, as far as the command has options for them."""
    return settings_class(**{name: values[name] for name in settings_of(settings_class) if name in values})


def _option(info: SettingInfo, infos: dict[str, SettingInfo]) -> Callable[[Any], Any]:
    """Returns the decorator that adds the option of one setting."""
    options: dict[str, Any] = {
        "required": info.is_required,
        "help": named_as_options(_help(info), {name: _names(other)[0] for name, other in infos.items()}),
    }
    if info.flags and info.flags.value is not None:
        options |= {"cls": ValueFlag, "sets": info.flags.value}
    elif info.is_list:
        options |= {"multiple": True, "type": _type(info), "help": f"{options['help']} May be repeated."}
    else:
        is_shown = info.default not in (None, "") and not info.is_required
        options |= {"default": None if info.is_required else info.default, "show_default": is_shown}
        options |= {} if info.kind is bool else {"type": _type(info)}
    return click.option(*_names(info), info.name, **options)


def _help(info: SettingInfo) -> str:
    """Returns the option's help text."""
    return (info.flags and info.flags.help) or info.help


def _names(info: SettingInfo) -> tuple[str, ...]:
    """Returns the option's names as a user types them."""
    if info.flags:
        return info.flags.names
    name = info.name.replace("_", "-")
    return (f"--{name}/--no-{name}",) if info.kind is bool else (f"--{name}",)


def _type(info: SettingInfo) -> click.ParamType:
    """Returns the type of the option's value."""
    if info.own_rule:
        return click.STRING
    if info.choices:
        return click.Choice(info.choices)
    if info.kind is str:
        return NotEmpty() if info.min_length else click.Path() if info.is_path else click.STRING
    if info.kind is float and not info.bounds:
        return AnyNumber()
    lowest, highest = (
        info.bounds.get(closed, info.bounds.get(open_)) for closed, open_ in (("ge", "gt"), ("le", "lt"))
    )
    number: Any = WholeNumber if info.kind is int else FiniteNumber
    kind: click.ParamType = number(
        min=lowest,
        max=None if highest is not None and highest == _LARGE else highest,
        min_open="gt" in info.bounds,
        max_open="lt" in info.bounds,
    )
    return kind
