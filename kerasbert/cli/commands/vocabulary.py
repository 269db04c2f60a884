"""`kerasbert vocabulary`: learns word pieces from text."""

from typing import Any

import click

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of
from kerasbert.cli.reading_progress import reading_progress
from kerasbert.settings import TextTableSettings
from kerasbert.settings.vocabulary_settings import VocabularySettings


@click.command()
@click.argument("texts", nargs=-1, required=True)
@click.option("--output", "-o", required=True, type=click.Path(), help="File to write, one piece per line.")
@settings_options(VocabularySettings)
@settings_options(TextTableSettings)
def vocabulary(texts: tuple[str, ...], output: str, text_column: str | None, **values: Any) -> None:
    """Learn a word-piece vocabulary from TEXTS: text files (plain or gzipped), folders or glob patterns, or tables with
    a text column.

    The same text always gives the same vocabulary.

    \b
    Example:
      kerasbert vocabulary corpus.txt --size 8000 --output vocab.txt
      kerasbert vocabulary reviews.csv --text-column review --output vocab.txt
    """
    from kerasbert.data import read_lines
    from kerasbert.preprocessing import WordPieceTokenizer, learn_vocabulary
    from kerasbert.recipes.text_formats import note_merged_words

    file_format = format_of(values)
    settings = VocabularySettings(**values)
    rules: dict[str, Any] = {"lower_case": settings.lower_case, "strip_accents": settings.strip_accents}
    with reading_progress(texts, "Reading") as (report, progress):
        lines = read_lines(texts, report, progress, text_column, file_format)
        learned = learn_vocabulary(lines, settings.size, min_count=settings.min_count, **rules)
        sample = read_lines(texts, text_column=text_column, table_format=file_format)
        note_merged_words(report, WordPieceTokenizer(learned, **rules), sample)
    learned.save(output)
    click.echo(f"{len(learned)} word pieces from {report.lines} lines: {output}")
