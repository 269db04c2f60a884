"""Rewrites the names of library arguments in messages and help texts as the options of a command.

Messages of the library and help texts of settings name an argument as `name` or `name=value`, in backticks. In a
command's output, the name becomes the option: `start_from` -> `--from`, `restart=True` -> `--restart`,
`encoding='cp1252'` -> `--encoding cp1252`. Names that are not arguments of the command are left unchanged.
"""

import re
import shlex
from collections.abc import Mapping

import click

from kerasbert.cli.options.option_types import ValueFlag

_VALUE = r"'[^']*'|\"[^\"]*\"|[^\s`,;)]*[^\s`,;.)]"


def named_as_options(text: str, options: Mapping[str, str]) -> str:
    """Replaces the names of arguments with options.

    Args:
        text: A message or a help text.
        options: Argument -> option, e.g. "--from" or "--header/--no-header".

    Example:
        >>> named_as_options("Received: epochs=0. Use `epochs=3`, or `header=False`.", {
        ...     "epochs": "--epochs", "header": "--header/--no-header"})
        'Received: --epochs 0. Use `--epochs 3`, or `--no-header`.'
    """
    if not options:
        return text
    names = "|".join(sorted(map(re.escape, options), key=len, reverse=True))

    def named(match: re.Match[str]) -> str:
        return _spelled(options[match["name"]], match["value"])

    text = re.sub(rf"(?<=`)(?P<name>{names})(?:=(?P<value>{_VALUE}))?(?=`)", named, text)
    return re.sub(rf"(?<![\w`'\".=/-])(?P<name>{names})=(?P<value>{_VALUE})", named, text)


def options_of(command: click.Command) -> dict[str, str]:
    """Returns argument -> option for the parameters of a command."""
    options = {}
    for param in command.params:
        if isinstance(param, click.Option):
            name = next((spelling for spelling in param.opts if spelling.startswith("--")), param.opts[0])
            options[str(param.name)] = "/".join([name, *param.secondary_opts[:1]])
            if isinstance(param, ValueFlag) and not param.sets:
                options[str(param.name)] = f"/{name}"
        elif param.name:
            options[param.name] = param.make_metavar(click.Context(command)).strip("[].")
    return options


def _spelled(option: str, value: str | None) -> str:
    """Returns an option with its value, as a user types it."""
    on, _, off = option.partition("/")
    if value is None:
        return on or off
    if value in ("True", "False") and (off or value == "True"):
        return (on or f"without {off}") if value == "True" else off
    if value == "None":
        return f"no {on}"
    plain = value[1:-1] if value[:1] in "'\"" else value
    return f"{on} {shlex.quote(plain)}"
