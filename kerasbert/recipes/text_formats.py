"""The format of the run's files according to its settings, and a note on merged words."""

from collections.abc import Iterable

from kerasbert.data import ReadReport, TableFormat
from kerasbert.preprocessing import WordPieceTokenizer, merged_words
from kerasbert.recipes.vocabulary_check import first_characters
from kerasbert.settings import FormatSettings, TableSettings

# A sample of this size is enough to see how a tokenizer handles a language.
_SAMPLE_CHARACTERS = 500_000


def table_format(settings: FormatSettings) -> TableFormat:
    """Returns the format of the files, for the readers of `kerasbert.data`."""
    columns = {}
    if isinstance(settings, TableSettings):
        columns = {"word_column": settings.word_column, "tag_column": settings.tag_column}
    return TableFormat(
        delimiter=settings.delimiter, encoding=settings.encoding, has_header=settings.has_header, **columns
    )


def note_merged_words(
    report: ReadReport | None, tokenizer: WordPieceTokenizer, lines: Iterable[str], start_from: str | None = None
) -> None:
    """Adds a note if the tokenizer merges words of the text that are spelled differently.

    Args:
        report: The report, or None to skip the check.
        tokenizer: The tokenizer.
        lines: The text, of which a sample is examined.
        start_from: The model that the tokenizer comes from, which the settings then cannot change.
    """
    if report is None or not (tokenizer.lower_case or tokenizer.strip_accents):
        return
    merged = merged_words(first_characters(lines, _SAMPLE_CHARACTERS), tokenizer)
    warning = merged.warning()
    if warning is None:
        return
    if start_from is not None:
        examples = "; ".join(" = ".join(words) for words in merged.examples)
        warning = (
            f"{merged.count} words of the text that are spelled differently become the same ({examples}), because "
            f"'{start_from}' normalizes text so; start from a model that keeps accents and capital letters if they "
            "must stay apart"
        )
    report.note(warning)
