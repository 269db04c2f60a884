"""`kerasbert predict`: writes a fine-tuned model's predictions, one JSON object per line."""

import json
from typing import Any

import click

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of, table_options
from kerasbert.cli.options.text_options import read_given_texts, text_options
from kerasbert.cli.reading_progress import echo_precision, echo_warning
from kerasbert.settings import AnswerSettings, InferenceSettings


@click.command()
@click.argument("model")
@text_options
@table_options(with_label=False)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Texts per batch.")
@settings_options(AnswerSettings)
@settings_options(InferenceSettings)
@click.option("--output", "-o", type=click.Path(), help="JSONL file to write. By default, standard output.")
def predict(
    model: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    text_column: str,
    pair_column: str | None,
    batch_size: int,
    precision: str,
    constrain_tags: bool,
    output: str | None,
    **file_format: Any,
) -> None:
    """Label or score TEXTS or the texts in files, or find entities in them, with the fine-tuned MODEL (a folder).

    \b
    Example:
      kerasbert predict runs/fine-tune/model "Where is my card?" "It was charged twice."
      kerasbert predict runs/fine-tune/model --file questions.csv --text-column question --output answers.jsonl
    """
    from kerasbert.data import ReadReport
    from kerasbert.files import write_aside
    from kerasbert.recipes.prediction import load_classifier
    from kerasbert.recipes.prediction import predict as answer_rows

    report = ReadReport()
    rows = read_given_texts(texts, files, text_column, pair_column, report, format_of(file_format))
    classifier = load_classifier(model, precision=precision, sample_texts=rows.texts)
    answers = answer_rows(classifier, rows, batch_size, constrain_tags)
    lines = (json.dumps(answer, ensure_ascii=False) for answer in answers)
    if output:
        with write_aside(output) as aside, aside.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)
    else:
        for line in lines:
            click.echo(line)
    echo_warning(report)
    echo_precision(classifier.chosen)
    if output:
        click.echo(f"{len(rows)} answers: {output}")
