"""`kerasbert pretrain`: masked LM and next-sentence prediction on plain text."""

from typing import Any

import click

from kerasbert.cli.options.run_options import RUN_SETTINGS, echo_metrics
from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.reading_progress import echo_warning
from kerasbert.settings import PretrainingSettings, settings_of

_DATA = ("held_out", "held_out_share")


@click.command()
@click.argument("texts", nargs=-1, required=True)
@settings_options(PretrainingSettings, *RUN_SETTINGS, *_DATA)
@settings_options(PretrainingSettings, *settings_of(PretrainingSettings), without=("texts", *RUN_SETTINGS, *_DATA))
def pretrain(**values: Any) -> None:
    """Pretrain a BERT on TEXTS: text files (plain or gzipped), folders or glob patterns, with one sentence per line and
    a blank line between documents.

    The run's folder then contains the model (in Hugging Face's layout), the training curves and the metrics on
    held-out text. If the command is interrupted, run it again: it resumes and gives the same weights.

    \b
    Example:
      kerasbert pretrain corpus.txt --vocabulary vocab.txt --model bert-mini --steps 20000 --output runs/pretrain
    """
    from kerasbert.data import ReadReport
    from kerasbert.recipes import pretrain as run

    report = ReadReport()
    trained = run(PretrainingSettings(**values), report)
    echo_warning(report)
    echo_metrics("On held-out text:", trained.metrics)
    click.echo(f"Model: {trained.folder.model}")
