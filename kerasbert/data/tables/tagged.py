"""Reads texts with a tag for each word, e.g. named entities: columns as in CoNLL files, or lists in JSONL or CSV.

For how the tags of words become labels of pieces, see kerasbert/recipes/token_classification.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kerasbert.data.read_report import ReadReport
from kerasbert.data.split_plan import split_rows
from kerasbert.data.tables.delimited_rows import split_values
from kerasbert.data.tables.labels import Labels
from kerasbert.data.tables.printed_lists import printed_list
from kerasbert.data.tables.table_format import PLAIN, TableFormat
from kerasbert.data.tables.table_rows import is_json, table_rows, usual_delimiter
from kerasbert.data.tables.tagged_columns import CELL, TaggedRow, column_rows
from kerasbert.data.tables.tagged_spans import has_spans, span_rows
from kerasbert.data.text_files import PathLike, find_text_files, text_lines
from kerasbert.errors import BadInputError

OUTSIDE = "O"


@dataclass(frozen=True)
class TaggedTexts:
    """Texts as words, with a tag for each word.

    Attributes:
        words: the words of each text. No word is empty or contains a blank, a tab or a line break.
        tags: the tag of each word, e.g. "B-person", "I-person" or "O".
        places: the position of each text, for messages.

    Example:
        >>> rows = TaggedTexts((("in", "New", "York"),), (("O", "B-place", "I-place"),), ("line 1",))
        >>> rows.texts, rows.label_names().names
        (('in New York',), ('B-place', 'I-place', 'O'))
    """

    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]

    problem_type: ClassVar[str] = "token_classification"
    pairs: ClassVar[None] = None

    def __len__(self) -> int:
        return len(self.words)

    @property
    def texts(self) -> tuple[str, ...]:
        """The words joined by single spaces, as the model reads them."""
        return tuple(" ".join(words) for words in self.words)

    def label_names(self) -> Labels:
        """Returns the tags of these rows. Call it only on training rows."""
        return Labels.from_training(self.tags)

    def targets(self, labels: Labels | None = None) -> list[list[int]]:
        """Returns the id of each word's tag.

        Raises:
            BadInputError: a tag does not occur in training. The message names the tag, its row and the known tags.
        """
        if labels is None:
            raise ValueError("`labels` must be given. Received: None. Pass the labels of training.")
        return [[labels.id_of(tag, place) for tag in tags] for tags, place in zip(self.tags, self.places, strict=True)]

    def select(self, indices: Iterable[int]) -> "TaggedTexts":
        """Returns the rows at `indices`."""
        rows = [(self.words[index], self.tags[index], self.places[index]) for index in indices]
        words, tags, places = zip(*rows, strict=True) if rows else ((), (), ())
        return TaggedTexts(words, tags, places)

    def split(self, fractions: Mapping[str, float], report: ReadReport | None = None) -> dict[str, "TaggedTexts"]:
        """Splits the rows by a hash of their texts, like `LabelledTexts.split`. Training keeps words with every tag."""
        parts, note = split_rows(self.texts, self.tags, fractions)
        if note and report is not None:
            report.note(note)
        return {part: self.select(chosen) for part, chosen in parts.items()}


def read_tagged(
    paths: PathLike | Iterable[PathLike],
    text_column: str = "tokens",
    label_column: str = "tags",
    report: ReadReport | None = None,
    table_format: TableFormat = PLAIN,
) -> TaggedTexts:
    """Reads texts with a tag for each word.

    Args:
        paths: files, folders or glob patterns. JSON files have a list of words and a list of tags for each text, or a
            text with spans of characters as Doccano, Label Studio and Prodigy export them. CSV and TSV files may have
            lists too, as printed lists (`['New', 'York']`) in two columns. All other files have
            a word and its tag on each line and a blank line between texts. Their layout is detected (CoNLL-2003,
            CoNLL-U, CoNLL-2009, GermEval), whatever the extension. Lines that begin with "-DOCSTART-" and comments are
            skipped.
        text_column: the column of the words in JSON, CSV and TSV.
        label_column: the column of the tags in JSON, CSV and TSV.
        report: receives counts and notes.
        table_format: the format of the files, e.g. `word_column` and `tag_column` for files with one word per line.

    Returns:
        The texts of all files, in order.

    Raises:
        BadInputError: a line has no tag, words and tags differ in number, a word contains a blank, a tab or a line
            break, or there is no text.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "train.conll")
        >>> _ = path.write_text("Anna B-person\\nlives O\\nhere O\\n")
        >>> read_tagged(path).words
        (('Anna', 'lives', 'here'),)
    """
    rows = [
        row for path in find_text_files(paths) for row in _rows(path, text_column, label_column, report, table_format)
    ]
    if not rows:
        raise BadInputError(
            "Tagged files must contain at least one text. Received: none. Name files with tagged words."
        )
    words, tags, places = zip(*rows, strict=True)
    return TaggedTexts(words, tags, places)


def _rows(
    path: Path, text_column: str, label_column: str, report: ReadReport | None, table_format: TableFormat
) -> Iterator[TaggedRow]:
    columns = {"text_column": text_column, "label_column": label_column}
    if is_json(path) and has_spans(path, text_column, label_column, table_format):
        yield from span_rows(path, text_column, label_column, report, table_format)
        return
    if not is_json(path) and not _has_lists(path, columns, table_format):
        yield from column_rows(path, report, table_format)
        return
    for row in table_rows(path, columns, report, table_format, text_is_list=True):
        words, tags = (_strings(value, row.place) for value in row.values)
        if len(words) != len(tags) or not words:
            raise BadInputError(
                f"A text must have words, and one tag for each. Received: {len(words)} words and {len(tags)} tags in "
                f"{row.place}. Correct the lists."
            )
        yield words, tags, row.place


def _has_lists(path: Path, columns: Mapping[str, str], table_format: TableFormat) -> bool:
    """Returns whether the file is a table with both columns, and so has a text per row instead of a word per line."""
    usual = usual_delimiter(path)
    if usual is None or table_format.word_column is not None or table_format.tag_column is not None:
        return False
    lines = text_lines(path, encoding=table_format.encoding, max_line_bytes=1 << 20)
    header = next((line for line in lines if line.strip()), "")
    return any(
        set(columns.values()) <= {name.strip() for name in split_values(header, delimiter)}
        for delimiter in ({table_format.delimiter} if table_format.delimiter else {usual, ",", ";", "\t", "|"})
    )


def _strings(value: Any, place: str) -> tuple[str, ...]:
    items = printed_list(value) if isinstance(value, str) else value
    if not isinstance(items, list) or any(not isinstance(part, str) or not CELL.fullmatch(part) for part in items):
        raise BadInputError(
            "Words and tags must be lists of strings that are not empty and contain no blank, tab or line break. "
            f'Received: {str(value)[:80]!r} in {place}. For example ["New", "York"] and '
            '["B-place", "I-place"].'
        )
    return tuple(items)
