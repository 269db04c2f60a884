"""`kerasbert check-data`: looks for problems in labelled tables before a model is trained on them."""

from typing import Any

import click

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of
from kerasbert.cli.reading_progress import echo_warning
from kerasbert.settings import DataCheckSettings, TableSettings, settings_of
from kerasbert.settings.setting_types import PROBLEM_TYPES


@click.command("check-data")
@click.argument("tables", nargs=-1, required=True)
@click.option("--test", "test", multiple=True, type=click.Path(), help="Table of test rows. May be repeated.")
@click.option(
    "--task",
    "problem_type",
    type=click.Choice(PROBLEM_TYPES),
    default="single_label_classification",
    show_default=True,
    help="Kind of labels.",
)
@click.option(
    "--model", "text_to_inputs", type=click.Path(), help="Model folder. Its vocabulary and length decide what is cut."
)
@settings_options(TableSettings, without=("word_column", "tag_column"))
@settings_options(DataCheckSettings)
@click.option("--output", "-o", type=click.Path(), help="Folder for data_check.json and data_check.html.")
def check_data(
    tables: tuple[str, ...],
    test: tuple[str, ...],
    problem_type: str,
    text_to_inputs: str | None,
    output: str | None,
    **options: Any,
) -> None:
    """Look for problems in labelled TABLES: repeated texts, wrong labels, and test rows that leaked.

    Each limit, e.g. --max-overlap, is a share. If one is exceeded, the command fails after writing its files.

    \b
    Example:
      kerasbert check-data train.csv --test test.csv --model all-MiniLM-L6-v2 --output checks
      kerasbert check-data train.csv --test test.csv --max-overlap 0 --max-conflicts 0
    """
    from kerasbert.data import ReadReport, read_labelled
    from kerasbert.errors import BadInputError
    from kerasbert.recipes import check_data as check
    from kerasbert.recipes import write_data_check

    settings = DataCheckSettings(**{name: options.pop(name) for name in settings_of(DataCheckSettings)})
    _check_options(output, options)
    report = ReadReport()
    shared: dict[str, Any] = {"report": report, "table_format": format_of(options), "problem_type": problem_type}
    rows = read_labelled(tables, **shared, **options)
    test_rows = read_labelled(test, **shared, **options) if test else None
    click.echo(f"{len(rows)} rows" + (f", {len(test_rows)} test rows" if test_rows else ""))
    found = check(rows, test_rows, _preprocessing(text_to_inputs), settings)
    echo_warning(report)
    _echo(found.result)
    if output:
        click.echo(f"Page: {write_data_check(found, output)}")
    if found.problems:
        raise BadInputError("The data exceed a limit. " + " ".join(found.problems))


def _check_options(output: str | None, options: dict[str, Any]) -> None:
    """Refuses what would fail after the work is done."""
    from pathlib import Path

    from kerasbert.recipes.data_check_files import check_is_no_file
    from kerasbert.reports.drawing import require_extra

    if output:
        require_extra()
        check_is_no_file(Path(output))


def _preprocessing(model: str | None) -> Any:
    """Returns the preprocessing of a model folder."""
    if model is None:
        return None
    from kerasbert import checkpoints
    from kerasbert.errors import BadInputError

    to_inputs = checkpoints.load(model).text_to_inputs
    if to_inputs is None:
        raise BadInputError(
            f"A model folder must contain its vocabulary. Received: '{model}' without one. Copy its vocab.txt there."
        )
    return to_inputs


def _echo(result: dict[str, Any]) -> None:
    """Prints one line for each kind of problem."""
    from kerasbert.reports.data_report import PARTS, SIMPLE_MODELS

    for part, (heading, _) in PARTS.items():
        if part in result:
            click.echo(f"  {heading}: {result[part]['count']} ({result[part]['share']:.1%})")
    if result.get("rare_labels", {}).get("count"):
        rare = result["rare_labels"]
        click.echo(f"  Rare labels: {rare['count']} of {len(result['labels'])}")
    for name, metrics in result.get("baseline", {}).items():
        click.echo(f"  {SIMPLE_MODELS[name]}: accuracy {metrics['accuracy']:.3f}, macro F1 {metrics['macro_f1']:.3f}")
