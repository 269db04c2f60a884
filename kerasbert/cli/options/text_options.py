"""The texts that a command gets: on the command line, or in files."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kerasbert.data import LabelledTexts, ReadReport, TableFormat


def text_options(command: Any) -> Any:
    """A decorator that adds TEXTS and `--file`."""
    option = click.option(
        "--file",
        "files",
        multiple=True,
        type=click.Path(),
        help="Plain text with one text per line, or a table. May be repeated.",
    )
    return click.argument("texts", nargs=-1)(option(command))


def read_given_texts(
    texts: tuple[str, ...],
    files: tuple[str, ...],
    text_column: str,
    pair_column: str | None,
    report: "ReadReport",
    table_format: "TableFormat",
) -> "LabelledTexts":
    """Returns the texts that were given, or those of the files. Both or none is a usage error."""
    from kerasbert.data import LabelledTexts, read_texts

    if bool(texts) == bool(files):
        raise click.UsageError("Give texts, or files with --file, and not both.", click.get_current_context())
    if files:
        return read_texts(files, text_column if _are_tables(files) else None, pair_column, report, table_format)
    readable = tuple(_readable(text) for text in texts)
    return LabelledTexts(readable, None, None, tuple(f"text {index + 1}" for index in range(len(texts))))


def _readable(text: str) -> str:
    """An argument with U+FFFD in place of bytes that are not UTF-8, as in files; Python passes them as surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _are_tables(files: tuple[str, ...]) -> bool:
    """Whether the files have columns."""
    from kerasbert.data.tables.table_rows import is_table
    from kerasbert.data.text_files import find_text_files

    return all(is_table(path) for path in find_text_files(files))
