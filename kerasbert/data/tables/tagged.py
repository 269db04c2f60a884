"""Reads texts with a tag for each word, such as named entities: CoNLL's columns, or lists in JSONL.

How words become pieces, and tags labels of pieces: see kerasbert/recipes/token_classification.py.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kerasbert.data.stable_split import stable_split
from kerasbert.data.tables.labels import Labels
from kerasbert.data.tables.table_rows import is_table, table_rows
from kerasbert.data.text_files import PathLike, ReadReport, find_text_files, text_lines
from kerasbert.errors import BadInputError

OUTSIDE = "O"
# A no-break space, such as in "10\u00a0000", stands inside a word.
_WORD = re.compile(r"[^ \t\r\n]+")


@dataclass(frozen=True)
class TaggedTexts:
    """Texts as words, with a tag for each word.

    Attributes:
        words: the words of each text; none is empty or holds a blank, a tab or a line break.
        tags: as many tags, such as "B-person", "I-person" and "O".
        places: where each text stands, in words, for messages.
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
        """The words with one space between them: what the model reads."""
        return tuple(" ".join(words) for words in self.words)

    def label_names(self) -> Labels:
        """The tags of these rows, to be called on training rows only."""
        return Labels.from_training(self.tags)

    def targets(self, labels: Labels | None = None) -> list[list[int]]:
        """The id of each word's tag.

        Raises:
            BadInputError: a tag is unseen in training; the tag, its row and the known tags are named.
        """
        if labels is None:
            raise ValueError("`labels` must be given. Received: None. Give those of training.")
        return [[labels.id_of(tag, place) for tag in tags] for tags, place in zip(self.tags, self.places, strict=True)]

    def select(self, indices: Iterable[int]) -> "TaggedTexts":
        """The rows at `indices`."""
        rows = [(self.words[index], self.tags[index], self.places[index]) for index in indices]
        words, tags, places = zip(*rows, strict=True) if rows else ((), (), ())
        return TaggedTexts(words, tags, places)

    def split(self, fractions: Mapping[str, float]) -> dict[str, "TaggedTexts"]:
        """Splits the rows by a hash of their texts: see `LabelledTexts.split`."""
        indices: dict[str, list[int]] = {part: [] for part in fractions}
        for index, text in enumerate(self.texts):
            indices[stable_split(text, fractions)].append(index)
        return {part: self.select(chosen) for part, chosen in indices.items()}


def read_tagged(
    paths: PathLike | Iterable[PathLike],
    text_column: str = "tokens",
    label_column: str = "tags",
    report: ReadReport | None = None,
) -> TaggedTexts:
    """Reads tagged texts.

    Args:
        paths: files, folders or patterns. JSONL has a list of words and a list of tags on each line. Any other ending
            stands for CoNLL's form: a word and its tag on each line, first and last of what blanks and tabs part,
            and a blank line between texts. Lines that begin with "-DOCSTART-" are passed over.
        text_column: of JSONL: the words.
        label_column: of JSONL: the tags.
        report: counts are added to it.

    Raises:
        BadInputError: a line without a tag, words and tags that differ in number, a word with a blank, a tab or a
            line break, no text.
    """
    rows = [row for path in find_text_files(paths) for row in _rows(path, text_column, label_column, report)]
    if not rows:
        raise BadInputError("Tagged files must hold at least one text. Received: none. Name files with tagged words.")
    words, tags, places = zip(*rows, strict=True)
    return TaggedTexts(words, tags, places)


_TaggedRow = tuple[tuple[str, ...], tuple[str, ...], str]


def _rows(path: Path, text_column: str, label_column: str, report: ReadReport | None) -> Iterator[_TaggedRow]:
    if not is_table(path):
        yield from _conll_rows(path, report)
        return
    for row in table_rows(path, [text_column, label_column], report):
        words, tags = (_strings(value, row.place) for value in row.values)
        if len(words) != len(tags) or not words:
            raise BadInputError(
                f"A text must have words, and one tag for each. Received: {len(words)} words and {len(tags)} tags in "
                f"{row.place}. Correct the lists."
            )
        yield words, tags, row.place


def _strings(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or any(not isinstance(part, str) or not _WORD.fullmatch(part) for part in value):
        raise BadInputError(
            "Words and tags must be lists of strings that are not empty and hold no blank, tab or line break. "
            f'Received: {str(value)[:80]!r} in {place}. Give such as ["New", "York"] and ["B-place", "I-place"].'
        )
    return tuple(value)


def _conll_rows(path: Path, report: ReadReport | None) -> Iterator[_TaggedRow]:
    words: list[str] = []
    tags: list[str] = []
    begin = 1
    for number, line in enumerate([*text_lines(path, report), ""], start=1):
        parts = _WORD.findall(line) if line.strip() else []
        if parts and parts[0] != "-DOCSTART-":
            if len(parts) < 2:
                raise BadInputError(
                    f"Each line must hold a word and its tag. Received: {line[:80]!r} in line {number} of '{path}'. "
                    "Add the tag, or a blank line between texts."
                )
            begin = begin if words else number
            words.append(parts[0])
            tags.append(parts[-1])
        elif words:
            yield tuple(words), tuple(tags), f"line {begin} of '{path}'"
            words, tags = [], []
