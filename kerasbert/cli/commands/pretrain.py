"""`kerasbert pretrain`: masked LM and next-sentence prediction on plain text."""

from typing import Any

import click

from kerasbert.cli.options.number_types import FiniteRange
from kerasbert.cli.options.run_options import echo_metrics, run_options, run_settings
from kerasbert.cli.reading_progress import echo_warning


@click.command()
@click.argument("texts", nargs=-1, required=True)
@run_options(learning_rate=1e-4)
@click.option("--steps", default=10_000, show_default=True, type=click.IntRange(min=1), help="Batches in all.")
@click.option(
    "--long-sequence-length",
    default=512,
    show_default=True,
    type=click.IntRange(min=8),
    help="Tokens in the last steps, which train the later positions.",
)
@click.option(
    "--long-share",
    default=0.1,
    show_default=True,
    type=FiniteRange(0, 1),
    help="Share of those steps; 0 for none.",
)
@click.option("--held-out", multiple=True, type=click.Path(), help="Text to evaluate on. May be given several times.")
@click.option(
    "--held-out-share",
    default=0.05,
    show_default=True,
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Without --held-out: share of documents.",
)
@click.option(
    "--masked-lm-rate",
    default=0.15,
    show_default=True,
    type=FiniteRange(0, 1, min_open=True),
    help="Share of tokens masked.",
)
@click.option("--max-predictions", type=click.IntRange(min=1), help="Most masked tokens of a short input.")
@click.option("--whole-word", is_flag=True, help="Mask whole words.")
@click.option("--dupe-factor", default=10, show_default=True, type=click.IntRange(min=1), help="Passes over the text.")
@click.option("--short-sequence-probability", default=0.1, show_default=True, type=FiniteRange(0, 1), help="Of a pass.")
@click.option("--validate-every", type=click.IntRange(min=1), help="Steps. By default after each phase.")
def pretrain(texts: tuple[str, ...], **options: Any) -> None:
    """Pretrain a BERT on TEXTS: files, folders or patterns, plain or gzipped, with one sentence a line and a
    blank line between documents.

    The run's folder then holds the model (Hugging Face's layout), the curves and the metrics on held-out text. The
    same command goes on after a kill, and ends with the same weights.

    \b
    Example:
      kerasbert pretrain corpus.txt --vocabulary vocab.txt --model bert-mini --steps 20000 --output runs/pretrain
    """
    from kerasbert.data import ReadReport
    from kerasbert.recipes import PretrainingSettings
    from kerasbert.recipes import pretrain as run

    report = ReadReport()
    trained = run(PretrainingSettings(texts=texts, **run_settings(options)), report)
    echo_warning(report)
    echo_metrics("On held-out text:", trained.metrics)
    click.echo(f"Model: {trained.folder.model}")
