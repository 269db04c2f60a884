"""`kerasbert evaluate`: prints a fine-tuned model's metrics on labelled tables."""

import json
from typing import Any

import click

from kerasbert.cli.options.run_options import echo_metrics
from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of, table_options
from kerasbert.cli.reading_progress import echo_precision, echo_warning
from kerasbert.settings import AnswerSettings, InferenceSettings


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
    constrain_tags: bool,
    **columns: Any,
) -> None:
    """Evaluate the fine-tuned MODEL (a folder) on labelled TABLES, or on files of tagged words.

    \b
    Example:
      kerasbert evaluate runs/fine-tune/model test.csv --output metrics.json
      kerasbert evaluate runs/tagger/model test.conll
    """
    from kerasbert.data import ReadReport, read_labelled, read_tagged
    from kerasbert.files import write_aside
    from kerasbert.recipes import evaluate as measure
    from kerasbert.recipes.prediction import load_classifier

    classifier = load_classifier(model, precision=precision)
    report = ReadReport()
    shared: dict[str, Any] = {"report": report, "table_format": format_of(columns)}
    if classifier.is_of_tokens:
        rows: Any = read_tagged(tables, columns["text_column"], columns["label_column"], **shared)
    else:
        rows = read_labelled(tables, problem_type=classifier.problem_type, **shared, **columns)
    metrics = measure(classifier, rows, batch_size, constrain_tags)
    echo_warning(report)
    echo_precision(classifier.chosen)
    echo_metrics(f"On {len(rows)} rows:", metrics)
    if output:
        with write_aside(output) as aside:
            aside.write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(f"Metrics: {output}")
