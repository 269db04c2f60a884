"""`kerasbert fine-tune`: trains a model for any task on labelled tables."""

from typing import Any

import click

from kerasbert.cli.options.run_options import RUN_SETTINGS, echo_metrics
from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.reading_progress import echo_warning
from kerasbert.settings import FineTuningSettings, settings_of

_DATA = ("task", "validation", "validation_share", "test")


@click.command(name="fine-tune")
@click.argument("train", nargs=-1, required=True)
@settings_options(FineTuningSettings, *RUN_SETTINGS, *_DATA)
@settings_options(FineTuningSettings, *settings_of(FineTuningSettings), without=("train", *RUN_SETTINGS, *_DATA))
def fine_tune(**values: Any) -> None:
    """Fine-tune a BERT on TRAIN: CSV, TSV or JSONL files, plain or gzipped, with a text column and a label column; or
    files of tagged words or of questions.

    The run's folder then contains the model with its vocabulary and labels, the training curves and the metrics. If
    the command is interrupted, run it again: it resumes and gives the same weights.

    \b
    Example:
      kerasbert fine-tune train.csv --test test.csv --from runs/pretrain/model --output runs/fine-tune
      kerasbert fine-tune train-v2.0.json --task question_answering --from bert --sequence-length 384 --output runs/qa
      kerasbert fine-tune pairs.tsv --pair-column question2 --task regression --from bert --output runs/same
    """
    from kerasbert.data import ReadReport
    from kerasbert.recipes import fine_tune as run

    report = ReadReport()
    settings = FineTuningSettings(**values)
    tuned = run(settings, report)
    echo_warning(report)
    echo_metrics(f"On {'test' if settings.test else 'validation'} rows:", tuned.metrics)
    click.echo(f"Model: {tuned.folder.model}")
