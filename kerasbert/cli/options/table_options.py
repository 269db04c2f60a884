"""The options that name the columns of a table."""

from collections.abc import Callable
from typing import Any

import click

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


def table_options(with_label: bool = True) -> Callable[[Any], Any]:
    """A decorator that adds the options."""
    options = [
        click.option("--text-column", default="text", show_default=True, help="Column of the texts."),
        click.option("--pair-column", help="Column of the second texts, for tasks on pairs."),
    ]
    if with_label:
        options += [
            click.option("--label-column", default="label", show_default=True, help="Column of the labels."),
            click.option(
                "--label-separator",
                default=";",
                show_default=True,
                callback=_not_empty,
                help="Between several labels of a row.",
            ),
        ]

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _not_empty(_: click.Context, option: click.Parameter, value: str) -> str:
    """The option's value, or a usage error."""
    if not value:
        raise click.BadParameter("must not be empty.", param=option)
    return value
