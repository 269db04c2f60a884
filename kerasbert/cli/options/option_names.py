"""Names arguments of the library by the options of the command that the reader has in front of them.

Messages of the library and help texts of settings name an argument as `name` or `name=value`, in backticks; for a
command that becomes its option: `start_from` -> `--from`, `restart=True` -> `--restart`, `encoding='cp1252'` ->
`--encoding cp1252`. What is no argument of the command stays as it is.
"""

import re
import shlex
from collections.abc import Mapping

import click

from kerasbert.cli.options.option_types import ValueFlag

_VALUE = r"'[^']*'|\"[^\"]*\"|[^\s`,;)]*[^\s`,;.)]"


def named_as_options(text: str, options: Mapping[str, str]) -> str:
    """Replaces names of arguments by options.

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
    """An option with its value, as it is typed."""
    on, _, off = option.partition("/")
    if value is None:
        return on or off
    if value in ("True", "False") and (off or value == "True"):
        return (on or f"without {off}") if value == "True" else off
    if value == "None":
        return f"no {on}"
    plain = value[1:-1] if value[:1] in "'\"" else value
    return f"{on} {shlex.quote(plain)}"
