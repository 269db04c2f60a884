"""Splits docstrings and reference pages into sentences for pretraining, one per line.

Wrapped lines are joined. List items and signature-like lines stay separate. Doctests, tables, rulers, and grammar or
code lines with few words are left out. These are rules for this one kind of text, not a general sentence splitter.
"""

import re
from collections.abc import Iterator

_LIST_ITEM = re.compile(
    r"([-*+•]|\d+[.)]|\(\w\)|:\w+[^:]*:|@\w+|[\w*`'\"]+:|\w[\w, *]*\s+(--|-|:))\s+\S"  # a bullet, a parameter
    r"|\S+( \S+)*\s{3,}\S"  # a row of columns
)
_CODE = re.compile(
    r"\w[\w.]*\([^)]*\)(\s*(->|=>|:|=).*)?$"  # a signature or a call
    r"|.*::="  # grammar
    r"|(def|class|import|from|raise|print|if|for|while|with)\b[^.]*[(:=]+[^ ]*$"  # a statement
    r"|.*[=({\[\\]$|[)}\]]"  # an opening or closing bracket at the end or start of the line
)
_RULER = re.compile(r"[\W_]*$")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[*]*[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Mr|Dr|St|No|Fig|Sec|approx|resp|incl|al)|\b[A-Z]|^\W*\d+)\.$")
# A shorter line was not wrapped if the next line begins with a capital letter.
_WRAPPED_LENGTH = 45
_MIN_WORDS = 3
_MIN_SHARE_OF_LETTERS = 0.6


def sentences(text: str) -> list[str]:
    r"""Returns the sentences of a docstring, without its common indentation.

    Example:
        >>> sentences("Return the sum of\ntwo numbers. Both\nmust be finite.\n\n>>> add(1, 2)\n3\n")
        ['Return the sum of two numbers.', 'Both must be finite.']
    """
    return [sentence for unit in _units(text) for sentence in _split(unit) if _is_language(sentence)]


def _units(text: str) -> Iterator[str]:
    """Yields runs of lines that belong together, each as one line."""
    for paragraph in re.split(r"\n\s*\n", text):
        unit = ""
        previous = ""
        for line in paragraph.expandtabs().splitlines():
            stripped = line.strip()
            if stripped.startswith((">>>", "...")):
                break  # The rest of the paragraph is a doctest and its output.
            if _RULER.match(stripped):
                continue
            if unit and not _continues(previous, line):
                yield unit
                unit = ""
            unit = f"{unit} {stripped}" if unit else stripped
            previous = line
        if unit:
            yield unit


def _continues(previous: str, line: str) -> bool:
    """Returns whether `line` continues the sentence of the previous line."""
    before, after = previous.strip(), line.strip()
    if _LIST_ITEM.match(after) or _CODE.match(after) or _CODE.match(before) or before.endswith(":"):
        return False
    is_indented_less = len(line) - len(line.lstrip()) < len(previous) - len(previous.lstrip())
    if is_indented_less and not after[0].islower():
        return False
    return after[0].islower() or len(previous) >= _WRAPPED_LENGTH


def _split(unit: str) -> Iterator[str]:
    """Yields the sentences of one unit. A full stop after an abbreviation, an initial or a number does not end one."""
    start = 0
    for border in _SENTENCE_END.finditer(unit):
        if not _ABBREVIATION.search(unit[start : border.start()].rstrip("\"')]")):
            yield " ".join(unit[start : border.end()].split())
            start = border.end()
    yield " ".join(unit[start:].split())


def _is_language(sentence: str) -> bool:
    words = re.findall(r"[A-Za-z]+", sentence)
    letters = sum(character.isalpha() or character.isspace() for character in sentence)
    return len(words) >= _MIN_WORDS and letters >= _MIN_SHARE_OF_LETTERS * len(sentence)
