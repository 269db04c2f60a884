"""What commands that read and answer texts say on standard error: a progress bar, and notes on what was found."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from kerasbert.cli.options.option_names import named_as_options, options_of

if TYPE_CHECKING:
    from kerasbert.data import ReadReport
    from kerasbert.data.read_report import Progress
    from kerasbert.models.precision_choice import Chosen


@contextlib.contextmanager
def reading_progress(paths: Sequence[str], what: str) -> Iterator[tuple["ReadReport", "Progress"]]:
    """Yields a report and a progress hook for a reader, and prints the report's warning at the end.

    Args:
        paths: Files, folders or glob patterns to read.
        what: A word or two to show in front of the bar.
    """
    from kerasbert.data import ReadReport, find_text_files

    report = ReadReport()
    total = sum(file.stat().st_size for file in find_text_files(paths))
    with tqdm(total=total, unit="B", unit_scale=True, desc=what, disable=not sys.stderr.isatty(), leave=False) as bar:
        yield report, lambda read: bar.update(read.bytes - bar.n)
    echo_warning(report)


def echo_warning(report: "ReadReport") -> None:
    """Prints a report's warning on standard error, with arguments of the library named as the command's options."""
    if warning := report.warning():
        options = options_of(click.get_current_context().command)
        click.echo(f"Note: {named_as_options(warning, options)}.", err=True)


def echo_precision(chosen: "Chosen | None") -> None:
    """Prints how a lower precision changes the answers on standard error."""
    if chosen and chosen.comparison:
        click.echo(f"Precision {chosen.text}.", err=True)
