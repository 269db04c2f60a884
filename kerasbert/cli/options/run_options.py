"""The options that `pretrain` and `fine-tune` share, one for each attribute of `kerasbert.recipes.start.Start`."""

from collections.abc import Callable
from typing import Any

import click

from kerasbert.cli.options.number_types import POSITIVE, SEED, FiniteRange

SIZES = "bert-tiny, -mini, -small, -medium, -base, -large"
_RATE = FiniteRange(0, 1)
_COUNT = click.IntRange(min=1)


def run_options(learning_rate: float) -> Callable[[Any], Any]:
    """A decorator that adds the shared options.

    Args:
        learning_rate: its default.
    """
    options = [
        click.option("--output", "-o", required=True, type=click.Path(), help="The run's folder."),
        click.option("--from", "start_from", type=click.Path(), help="A model folder to go on from."),
        click.option(
            "--model", default="bert-tiny", show_default=True, help=f"Without --from: {SIZES}, or a config.json."
        ),
        click.option("--vocabulary", type=click.Path(), help="Without --from: the vocabulary file."),
        click.option("--cased", is_flag=True, help="Without --from: the vocabulary keeps capitals and accents."),
        click.option("--strip-accents/--keep-accents", default=None, help="By default stripped, unless --cased."),
        click.option("--sequence-length", default=128, show_default=True, type=click.IntRange(min=8), help="Tokens."),
        click.option("--batch-size", default=32, show_default=True, type=_COUNT, help="Rows in a batch."),
        click.option("--learning-rate", default=learning_rate, show_default=True, type=POSITIVE, help="At its peak."),
        click.option("--warmup-share", default=0.1, show_default=True, type=_RATE, help="Of the updates."),
        click.option(
            "--weight-decay", default=0.01, show_default=True, type=FiniteRange(min=0), help="Not of norms and biases."
        ),
        click.option(
            "--beta-2",
            default=0.999,
            show_default=True,
            type=FiniteRange(0, 1, max_open=True),
            help="Memory of the squared gradients.",
        ),
        click.option(
            "--clip-norm", default=1.0, show_default=True, type=POSITIVE, help="Largest norm of all gradients."
        ),
        click.option("--accumulation-steps", default=1, show_default=True, type=_COUNT, help="Batches in an update."),
        click.option(
            "--optimizer",
            default="adamw",
            show_default=True,
            type=click.Choice(["adamw", "original"]),
            help="original: as google-research/bert, without bias correction.",
        ),
        click.option("--dropout", type=FiniteRange(0, 1, max_open=True), help="In place of the config's."),
        click.option(
            "--precision",
            default="float32",
            show_default=True,
            type=click.Choice(["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"]),
            help="Of the arithmetic.",
        ),
        click.option("--jit-compile/--no-jit-compile", default=None, help="XLA. By default with an accelerator only."),
        click.option(
            "--max-unknown-share", default=0.2, show_default=True, type=_RATE, help="Of words not in the vocabulary."
        ),
        click.option("--checkpoint-every", default=500, show_default=True, type=_COUNT, help="Steps."),
        click.option("--log-every", default=50, show_default=True, type=_COUNT, help="Steps."),
        click.option("--seed", default=0, show_default=True, type=SEED, help="Of weights, order, masks and dropout."),
        click.option("--restart", is_flag=True, help="Begin anew where the folder holds an earlier run."),
    ]

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def run_settings(options: dict[str, Any]) -> dict[str, Any]:
    """The options as keyword arguments of a settings class: `--cased` becomes `lower_case`."""
    return {**{name: value for name, value in options.items() if name != "cased"}, "lower_case": not options["cased"]}


def echo_metrics(title: str, metrics: dict[str, Any]) -> None:
    """Prints the metrics that are single numbers, a line each."""
    click.echo(title)
    for name, value in metrics.items():
        if isinstance(value, int | float):
            click.echo(
                f"  {name.replace('_', ' '):28s} {value:.4f}"
                if isinstance(value, float)
                else f"  {name.replace('_', ' '):28s} {value}"
            )
