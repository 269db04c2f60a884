"""`kerasbert evaluate`: prints a fine-tuned model's metrics on labelled tables."""

import json
from typing import Any

import click

from kerasbert.cli.options.run_options import echo_metrics
from kerasbert.cli.options.settings_options import settings_options, taken_settings
from kerasbert.cli.options.table_options import table_options
from kerasbert.cli.reading_progress import echo_precision, echo_warning
from kerasbert.settings import AnswerSettings, InferenceSettings, TableSettings


@click.command()
@click.argument("model")
@click.argument("tables", nargs=-1, required=True)
@table_options()
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Rows per batch.")
@settings_options(AnswerSettings)
@settings_options(InferenceSettings)
@click.option("--output", "-o", type=click.Path(), help="JSON file for all metrics, overall and per label.")
def evaluate(
    model: str,
    tables: tuple[str, ...],
    output: str | None,
    batch_size: int,
    precision: str,
    **values: Any,
) -> None:
    """Evaluate the fine-tuned MODEL (a folder) on labelled TABLES, or on files of tagged words or of questions.

    \b
    Example:
      kerasbert evaluate runs/fine-tune/model test.csv --output metrics.json
      kerasbert evaluate runs/tagger/model test.conll
      kerasbert evaluate runs/questions/model dev-v2.0.json
    """
    from kerasbert.data import ReadReport
    from kerasbert.files import write_aside
    from kerasbert.recipes import evaluate as measure
    from kerasbert.recipes.fine_tuning_rows import read_task_rows
    from kerasbert.recipes.prediction import load_classifier

    classifier = load_classifier(model, precision=precision)
    report = ReadReport()
    rows = read_task_rows(classifier.task, tables, taken_settings(TableSettings, values), report)
    metrics = measure(classifier, rows, batch_size, taken_settings(AnswerSettings, values))
    echo_warning(report)
    echo_precision(classifier.chosen)
    echo_metrics(f"On {len(rows)} rows:", metrics)
    if output:
        with write_aside(output) as aside:
            aside.write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(f"Metrics: {output}")
