"""Finds the columns of the words and the tags in a file with one word per line.

Known layouts: CoNLL-2002 and -2003 (word first, tag last), CoNLL-U and CoNLL-X (10 columns), CoNLL-2009 (14 and more),
GermEval 2014 (number, word, outer tag, inner tag), and files whose tag comes first. See docs/data_formats.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A tag that starts or continues a named entity, or is outside of all.
_TAG = re.compile(r"O|[BIESLU]-\S+")
# First lines of files that name their columns.
_HEADER_NAMES = {
    *("word", "words", "token", "tokens", "form", "text", "id", "index", "lemma", "pos", "chunk", "upos", "xpos"),
    *("tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags", "entity", "sentence", "sentence #"),
}
_CONLL_U_COLUMNS = 10
_CONLL_U_TAGS = 3  # UPOS
_CONLL_09_COLUMNS = 14
_CONLL_09_TAGS = 4  # POS
_GERMEVAL_COLUMNS = 4
_COUNTED = re.compile(r"\d+")
# CoNLL-U's lines for multiword tokens ("3-4") and for empty nodes, which are not in the text ("3.1").
_NOT_A_WORD = re.compile(r"\d+[-.]\d+")

Cells = Sequence[str]


@dataclass(frozen=True)
class ColumnLayout:
    """The columns of a file that contain the words and the tags.

    Attributes:
        word: the column of the words, counted from 0.
        tag: the column of the tags, counted from 0. -1 is the last one of each line.
        is_numbered: whether the first column numbers the words of each text.
        name: the layout's name in messages. None if the word comes first and its tag last.
    """

    word: int
    tag: int
    is_numbered: bool = False
    name: str | None = None

    def is_word(self, cells: Cells) -> bool:
        """Returns whether a line is a word, and not CoNLL-U's "3-4" or "3.1"."""
        return not (self.is_numbered and _NOT_A_WORD.fullmatch(cells[0]))


def find_layout(texts: Sequence[Sequence[Cells]]) -> ColumnLayout:
    """Detects the layout of a file.

    Args:
        texts: for each text, the cells of its lines, at least one line.

    Example:
        >>> find_layout([[["1", "Anna", "B-PER", "O"], ["2", "lives", "O", "O"]]])
        ColumnLayout(word=1, tag=2, is_numbered=True, name='GermEval')
    """
    width = min(len(cells) for text in texts for cells in text)
    tags = [column for column in range(width) if _are_tags(texts, column)]
    if is_numbered(texts):
        is_germeval = width == _GERMEVAL_COLUMNS and 2 in tags and _are_tags(texts, 3, may_be_outside=True)
        return _numbered_layout(width, [column for column in tags if column > 1], is_germeval)
    if tags and tags[-1] == 0 and width == 2:
        return ColumnLayout(1, 0, name="tags first")
    return ColumnLayout(0, -1)


def _numbered_layout(width: int, tags: list[int], is_germeval: bool) -> ColumnLayout:
    if is_germeval:
        return ColumnLayout(1, 2, True, "GermEval")
    if tags:
        return ColumnLayout(1, tags[-1], True, "numbered words")
    if width == _CONLL_U_COLUMNS:
        return ColumnLayout(1, _CONLL_U_TAGS, True, "CoNLL-U")
    if width >= _CONLL_09_COLUMNS:
        return ColumnLayout(1, _CONLL_09_TAGS, True, "CoNLL-2009")
    return ColumnLayout(1, width - 1, True, "numbered words")


def is_numbered(texts: Sequence[Sequence[Cells]]) -> bool:
    """Returns whether the first column numbers the words of each text from 0 or 1, with words and tags after it."""
    is_longer = False
    for text in texts:
        numbers = [cells[0] for cells in text if len(cells) > 2 and not _NOT_A_WORD.fullmatch(cells[0])]
        if not numbers or not all(map(_COUNTED.fullmatch, numbers)) or any(len(cells) < 3 for cells in text):
            return False
        first = int(numbers[0])
        if first > 1 or [int(number) for number in numbers] != list(range(first, first + len(numbers))):
            return False
        is_longer = is_longer or len(numbers) > 1
    return is_longer


def _are_tags(texts: Sequence[Sequence[Cells]], column: int, may_be_outside: bool = False) -> bool:
    """Returns whether a column contains only entity tags, some of which begin an entity unless all may be outside."""
    values = {cells[column] for text in texts for cells in text}
    return all(map(_TAG.fullmatch, values)) and (may_be_outside or values != {"O"})


def is_header(cells: Cells) -> bool:
    """Returns whether a line names the columns, e.g. "word tag"."""
    return len(cells) > 1 and all(cell.strip().lower() in _HEADER_NAMES for cell in cells)
