"""`kerasbert predict`: writes a fine-tuned model's predictions, one JSON object per line."""

import json
from typing import Any

import click

from kerasbert.cli.options.settings_options import settings_options, taken_settings
from kerasbert.cli.options.table_options import table_options
from kerasbert.cli.options.text_options import check_given, read_given_rows, text_options
from kerasbert.cli.reading_progress import echo_precision, echo_warning
from kerasbert.settings import AnswerSettings, InferenceSettings, TableSettings


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
    batch_size: int,
    precision: str,
    output: str | None,
    **values: Any,
) -> None:
    """Label or score TEXTS or the texts in files, or find entities in them, with the fine-tuned MODEL (a folder).

    With a model that answers questions, TEXTS are a question and the text to search, in turns, and files are JSON, CSV
    or TSV with questions.

    \b
    Example:
      kerasbert predict runs/fine-tune/model "Where is my card?" "It was charged twice."
      kerasbert predict runs/questions/model "Who lives here?" "Anna lives here."
      kerasbert predict runs/fine-tune/model --file questions.csv --text-column question --output answers.jsonl
    """
    from kerasbert.data import ReadReport
    from kerasbert.files import write_aside
    from kerasbert.recipes.prediction import in_precision, load_classifier
    from kerasbert.recipes.prediction import predict as answer_rows

    check_given(texts, files)  # before the model is loaded, which takes longer
    report = ReadReport()
    classifier = load_classifier(model)
    rows = read_given_rows(classifier.task, texts, files, taken_settings(TableSettings, values), report)
    classifier = in_precision(classifier, precision, rows.texts)
    answers = answer_rows(classifier, rows, batch_size, taken_settings(AnswerSettings, values))
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
