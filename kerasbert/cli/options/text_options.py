"""The texts that a command is given: on the command line, or in files."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kerasbert.data import LabelledTexts, ReadReport


def text_options(command: Any) -> Any:
    """A decorator that adds TEXTS and `--file`."""
    option = click.option(
        "--file", "files", multiple=True, type=click.Path(), help="Plain text, a line a text; or a table."
    )
    return click.argument("texts", nargs=-1)(option(command))


def read_given_texts(
    texts: tuple[str, ...], files: tuple[str, ...], text_column: str, pair_column: str | None, report: "ReadReport"
) -> "LabelledTexts":
    """The texts that were given, or those of the files; both or none is a misspelt command."""
    from kerasbert.data import LabelledTexts, read_texts

    if bool(texts) == bool(files):
        raise click.UsageError("Give texts, or files with --file, and not both.", click.get_current_context())
    if files:
        return read_texts(files, text_column if _are_tables(files) else None, pair_column, report)
    readable = tuple(_readable(text) for text in texts)
    return LabelledTexts(readable, None, None, tuple(f"text {index + 1}" for index in range(len(texts))))


def _readable(text: str) -> str:
    """An argument with U+FFFD for bytes that are no UTF-8, as in files; Python hands them on as half surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _are_tables(files: tuple[str, ...]) -> bool:
    """Whether the files have columns."""
    from kerasbert.data.tables.table_rows import is_table
    from kerasbert.data.text_files import find_text_files

    return all(is_table(path) for path in find_text_files(files))
