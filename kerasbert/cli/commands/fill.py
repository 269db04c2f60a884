"""`kerasbert fill`: writes the best pieces for each `[MASK]`, one JSON object per text."""

import json
from typing import Any

import click

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of
from kerasbert.cli.options.text_options import read_given_texts, text_options
from kerasbert.cli.reading_progress import echo_precision, echo_warning
from kerasbert.settings import FormatSettings, InferenceSettings, TableSettings, settings_of


@click.command()
@click.argument("model")
@text_options
@settings_options(TableSettings, "text_column", *settings_of(FormatSettings))
@click.option(
    "--top-n", default=5, show_default=True, type=click.IntRange(min=1), help="Number of pieces for each [MASK]."
)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Texts per batch.")
@settings_options(InferenceSettings)
@click.option("--output", "-o", type=click.Path(), help="JSONL file to write. By default, standard output.")
def fill(
    model: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    text_column: str,
    top_n: int,
    batch_size: int,
    precision: str,
    output: str | None,
    **file_format: Any,
) -> None:
    """Fill each [MASK] in TEXTS, or in the texts in files, with the masked language model MODEL (a folder).

    Each line has the `text`; `filled`, the text with the best pieces; and `candidates`, for each [MASK] in order, the
    best pieces of the vocabulary with their probabilities. Each [MASK] is filled independently of the others.

    \b
    Example:
      kerasbert fill runs/pretrain/model "Paris is the [MASK] of France."
      kerasbert fill bert-base-uncased --file texts.txt --top-n 10 --output filled.jsonl
    """
    from kerasbert.data import ReadReport
    from kerasbert.files import write_aside
    from kerasbert.recipes import fill as fill_texts
    from kerasbert.recipes.tasks.mask_filling import load_masked_language_model

    report = ReadReport()
    rows = read_given_texts(texts, files, text_column, None, report, format_of(file_format))
    language_model = load_masked_language_model(model, precision, rows.texts)
    answers = fill_texts(language_model, rows.texts, top_n, batch_size, rows.places)
    lines = (json.dumps(answer, ensure_ascii=False) for answer in answers)
    if output:
        with write_aside(output) as aside, aside.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)
    else:
        for line in lines:
            click.echo(line)
    echo_warning(report)
    echo_precision(language_model.chosen)
    if output:
        click.echo(f"{len(rows)} texts: {output}")
