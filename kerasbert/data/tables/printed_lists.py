"""Reads lists in a table's cell that were printed by Python, NumPy or pandas or as JSON, e.g. "['a', 'b']"."""

import ast
import json
import re

_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ITEM = rf"(?:{_STRING}|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|True|False|true|false|None|null)"
# Python puts a comma between items, NumPy white space.
_LIST = re.compile(
    rf"(?:array\()?[\[({{]\s*(?:{_ITEM}(?:\s*,\s*|\s+|(?=['\"])|(?=\s*[\])}}])))*[\])}}](?:, dtype=\w+)?\)?"
)
_NUMBER_IN_PARENTHESES = re.compile(r"\([^,'\"]*\)")
_ITEMS = re.compile(_ITEM)


def printed_list(text: str) -> list[str] | None:
    r"""Returns the items of a printed list, tuple or set as strings, or None if the text is something else.

    Items are quoted strings or plain numbers. Text in brackets without quotes, e.g. `[noise]`, is not a list.

    Example:
        >>> printed_list("['New York', \"it's\"]"), printed_list("['a' 'b']"), printed_list("[1, 2]")
        (['New York', "it's"], ['a', 'b'], ['1', '2'])
        >>> printed_list("[noise]"), printed_list("[]")
        (None, [])
    """
    text = text.strip()
    if not _LIST.fullmatch(text) or _NUMBER_IN_PARENTHESES.fullmatch(text):
        return None
    if text.startswith("array("):
        text = text.removeprefix("array(").rpartition("]")[0]
    return [_item(item) for item in _ITEMS.findall(text)]


def looks_printed(text: str) -> bool:
    """Returns whether a text looks like a printed list, even one that cannot be parsed.

    Example:
        >>> looks_printed("[a, b]"), looks_printed("['a' ... 'z']"), looks_printed("[noise]")
        (True, True, False)
    """
    text = text.strip()
    return text.startswith("[") and text.endswith("]") and bool(set(text) & set(",'\""))


def _item(item: str) -> str:
    if item[0] not in "'\"":
        return item
    try:
        return str(json.loads(item))
    except json.JSONDecodeError:
        return str(ast.literal_eval(item))
