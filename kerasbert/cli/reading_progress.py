"""A progress bar over the bytes of the text files that a command reads, and one line on what was unreadable."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

if TYPE_CHECKING:
    from kerasbert.data import ReadReport
    from kerasbert.data.text_files import Progress


@contextlib.contextmanager
def reading_progress(paths: Sequence[str], what: str) -> Iterator[tuple["ReadReport", "Progress"]]:
    """Yields a report and a hook to hand to a reader; prints the report's warning at the end.

    Args:
        paths: what is read: files, folders or patterns.
        what: a word or two before the bar.
    """
    from kerasbert.data import ReadReport, find_text_files

    report = ReadReport()
    total = sum(file.stat().st_size for file in find_text_files(paths))
    with tqdm(total=total, unit="B", unit_scale=True, desc=what, disable=not sys.stderr.isatty(), leave=False) as bar:
        yield report, lambda read: bar.update(read.bytes - bar.n)
    echo_warning(report)


def echo_warning(report: "ReadReport") -> None:
    """Says on standard error what could not be read as it stands."""
    if warning := report.warning():
        click.echo(f"Note: {warning}.", err=True)
