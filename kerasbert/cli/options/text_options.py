"""Options for texts that are passed on the command line or read from files."""

from typing import TYPE_CHECKING, Any, cast

import click

from kerasbert.settings import TableSettings

if TYPE_CHECKING:
    from kerasbert.data import AskedQuestions, LabelledTexts, ReadReport, TableFormat


def text_options(command: Any) -> Any:
    """Adds the argument TEXTS and the option `--file` to a command."""
    option = click.option(
        "--file",
        "files",
        multiple=True,
        type=click.Path(),
        help="File with one text per line, or a table. May be repeated.",
    )
    return click.argument("texts", nargs=-1)(option(command))


def check_given(texts: tuple[str, ...], files: tuple[str, ...]) -> None:
    """Raises `click.UsageError` unless there are either texts or files."""
    if bool(texts) == bool(files):
        raise click.UsageError("Pass either texts or files with --file.", click.get_current_context())


def read_given_texts(
    texts: tuple[str, ...],
    files: tuple[str, ...],
    text_column: str,
    pair_column: str | None,
    report: "ReadReport",
    table_format: "TableFormat",
) -> "LabelledTexts":
    """Returns the texts from the command line or those of the files.

    Raises:
        click.UsageError: If both or neither are given.
    """
    from kerasbert.data import LabelledTexts, read_texts

    check_given(texts, files)
    if files:
        return read_texts(files, text_column if _are_tables(files) else None, pair_column, report, table_format)
    readable = tuple(_readable(text) for text in texts)
    return LabelledTexts(readable, None, None, tuple(f"text {index + 1}" for index in range(len(texts))))


def read_given_rows(
    task: str, texts: tuple[str, ...], files: tuple[str, ...], columns: TableSettings, report: "ReadReport"
) -> "LabelledTexts | AskedQuestions":
    """Returns the rows from the command line or those of the files, for a model of any task.

    Raises:
        click.UsageError: If both or neither are given, or a question has no text to search.
    """
    from kerasbert.recipes.text_formats import table_format

    if task == "question_answering":
        return _read_given_questions(texts, files, columns, report)
    return read_given_texts(texts, files, columns.text_column, columns.pair_column, report, table_format(columns))


def _read_given_questions(
    texts: tuple[str, ...], files: tuple[str, ...], columns: TableSettings, report: "ReadReport"
) -> "AskedQuestions":
    from kerasbert.data import AskedQuestions
    from kerasbert.recipes.fine_tuning_rows import read_task_rows

    check_given(texts, files)
    if len(texts) % 2:
        raise click.UsageError(
            "Pass questions, each followed by the text to search, or files with --file.", click.get_current_context()
        )
    if files:
        rows = read_task_rows("question_answering", files, columns, report, is_labelled=False)
        return cast("AskedQuestions", rows)
    readable = tuple(map(_readable, texts))
    count = len(texts) // 2
    places = tuple(f"question {number + 1}" for number in range(count))
    return AskedQuestions(readable[::2], readable[1::2], None, ("",) * count, places)


def _readable(text: str) -> str:
    """Replaces bytes that are not UTF-8, which Python passes as surrogates, with U+FFFD, as in files."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _are_tables(files: tuple[str, ...]) -> bool:
    """Returns whether the files are tables."""
    from kerasbert.data.tables.table_rows import is_table
    from kerasbert.data.text_files import find_text_files

    return all(is_table(path) for path in find_text_files(files))
