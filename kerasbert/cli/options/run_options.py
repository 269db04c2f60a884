"""Options of `pretrain` and `fine-tune` that come first, and the metrics that they print."""

from typing import Any

import click

# The settings that come first in the help text.
RUN_SETTINGS = ("output", "start_from", "restart")


def echo_metrics(title: str, metrics: dict[str, Any]) -> None:
    """Prints the metrics that are single numbers, one per line."""
    click.echo(title)
    for name, value in metrics.items():
        if isinstance(value, int | float):
            number = f"{value:.4f}" if isinstance(value, float) else value
            click.echo(f"  {name.replace('_', ' '):28s} {number}")
