"""`kerasbert fine-tune`: a classifier or a regression on a labelled table."""

from typing import Any

import click

from kerasbert.cli.options.number_types import FiniteRange
from kerasbert.cli.options.run_options import echo_metrics, run_options, run_settings
from kerasbert.cli.options.table_options import PROBLEM_TYPES, table_options
from kerasbert.cli.reading_progress import echo_warning


@click.command(name="fine-tune")
@click.argument("train", nargs=-1, required=True)
@run_options(learning_rate=5e-5)
@table_options()
@click.option("--validation", multiple=True, type=click.Path(), help="Tables to watch during training.")
@click.option(
    "--validation-share",
    default=0.1,
    show_default=True,
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Without --validation: share of rows.",
)
@click.option("--test", multiple=True, type=click.Path(), help="Tables for the final metrics.")
@click.option(
    "--problem-type",
    default="single_label_classification",
    show_default=True,
    type=click.Choice(PROBLEM_TYPES),
    help="What the labels are.",
)
@click.option("--epochs", default=3, show_default=True, type=click.IntRange(min=1), help="Passes over the rows.")
@click.option(
    "--early-stopping-patience", type=click.IntRange(min=1), help="Epochs without a better figure before training ends."
)
@click.option("--monitor", help="The validation figure that counts. By default accuracy, micro_f1 or loss.")
def fine_tune(train: tuple[str, ...], **options: Any) -> None:
    """Fine-tune a BERT on TRAIN: CSV, TSV or JSONL, plain or gzipped, with a column of texts and one of labels.

    The run's folder then holds the model with its vocabulary and labels, the curves and the metrics. The same command
    goes on after a kill, and ends with the same weights.

    \b
    Example:
      kerasbert fine-tune train.csv --test test.csv --from runs/pretrain/model --output runs/fine-tune
      kerasbert fine-tune pairs.tsv --pair-column question2 --problem-type regression --from bert --output runs/same
    """
    from kerasbert.data import ReadReport
    from kerasbert.recipes import FineTuningSettings
    from kerasbert.recipes import fine_tune as run

    report = ReadReport()
    tuned = run(FineTuningSettings(train=train, **run_settings(options)), report)
    echo_warning(report)
    echo_metrics(f"On {'test' if options['test'] else 'validation'} rows:", tuned.metrics)
    click.echo(f"Model: {tuned.folder.model}")
