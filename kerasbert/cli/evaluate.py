"""`kerasbert evaluate`: a fine-tuned model's figures on a labelled table."""

import json
from typing import Any

import click

from kerasbert.cli.reading_progress import echo_warning
from kerasbert.cli.run_options import echo_figures
from kerasbert.cli.table_options import table_options


@click.command()
@click.argument("model")
@click.argument("tables", nargs=-1, required=True)
@table_options()
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Rows in a batch.")
@click.option("--output", "-o", type=click.Path(), help="A JSON file for all figures, per label too.")
def evaluate(model: str, tables: tuple[str, ...], output: str | None, batch_size: int, **columns: Any) -> None:
    """Measure the fine-tuned MODEL (a folder) on labelled TABLES.

    \b
    Example:
      kerasbert evaluate runs/fine-tune/model test.csv --output figures.json
    """
    from kerasbert.data import ReadReport, read_labelled
    from kerasbert.files import write_aside
    from kerasbert.recipes import evaluate as measure
    from kerasbert.recipes.prediction import load_classifier

    classifier = load_classifier(model)
    report = ReadReport()
    rows = read_labelled(tables, problem_type=classifier.problem_type, report=report, **columns)
    figures = measure(classifier, rows, batch_size)
    echo_warning(report)
    echo_figures(f"On {len(rows)} rows:", figures)
    if output:
        with write_aside(output) as aside:
            aside.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(f"Figures: {output}")
