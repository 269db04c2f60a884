"""`kerasbert predict`: a fine-tuned model's answers, one JSON object a line."""

import json

import click

from kerasbert.cli.reading_progress import echo_warning
from kerasbert.cli.table_options import table_options


@click.command()
@click.argument("model")
@click.argument("texts", nargs=-1)
@click.option("--file", "files", multiple=True, type=click.Path(), help="Plain text, a line a text; or a table.")
@table_options(with_label=False)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Texts in a batch.")
@click.option("--output", "-o", type=click.Path(), help="A JSONL file in place of standard output.")
def predict(
    model: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    text_column: str,
    pair_column: str | None,
    batch_size: int,
    output: str | None,
) -> None:
    """Label TEXTS, or the texts of files, with the fine-tuned MODEL (a folder).

    \b
    Example:
      kerasbert predict runs/fine-tune/model "Where is my card?" "It was charged twice."
      kerasbert predict runs/fine-tune/model --file questions.csv --text-column question --output answers.jsonl
    """
    from kerasbert.data import LabelledTexts, ReadReport, read_texts
    from kerasbert.files import write_aside
    from kerasbert.recipes.prediction import load_classifier
    from kerasbert.recipes.prediction import predict as answer_rows

    if bool(texts) == bool(files):
        raise click.UsageError("Give texts, or files with --file, and not both.", click.get_current_context())
    report = ReadReport()
    if files:
        rows = read_texts(files, text_column if _are_tables(files) else None, pair_column, report)
    else:
        rows = LabelledTexts(texts, None, None, tuple(f"text {index + 1}" for index in range(len(texts))))
    classifier = load_classifier(model)
    lines = (json.dumps(answer, ensure_ascii=False) for answer in answer_rows(classifier, rows, batch_size))
    if output:
        with write_aside(output) as aside, aside.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)
    else:
        for line in lines:
            click.echo(line)
    echo_warning(report)
    if output:
        click.echo(f"{len(rows)} answers: {output}")


def _are_tables(files: tuple[str, ...]) -> bool:
    """Whether the files have columns."""
    from kerasbert.data.table_rows import is_table
    from kerasbert.data.text_files import find_text_files

    return all(is_table(path) for path in find_text_files(files))
