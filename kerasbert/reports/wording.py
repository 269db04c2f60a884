"""Formats names and numbers for readers: sensible digits, one format per column, no unprintable characters.

Nothing here escapes text for HTML: the template does that in one place.
"""

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

NOTHING = "–"

_SHARES = re.compile(r"(^|[_ -])(accuracy|precision|recall|rate|share|f1)$", re.IGNORECASE)
_NO_SHARES = re.compile(r"learning[_ -]rate$", re.IGNORECASE)
# Lone surrogates cannot be encoded, and the others are not allowed in XML, the format of the figures.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WORDS = {"lm": "LM", "mlm": "MLM", "nsp": "NSP", "f1": "F1", "id": "ID", "ids": "IDs", "grpc": "gRPC", "rest": "REST"}


def plain_text(value: object) -> str:
    """Return the value as text that is valid in HTML, XML and UTF-8: each unprintable character becomes U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", str(value))


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text, with an ellipsis at the end if something was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def text_width(text: str, font_size: float) -> float:
    """Return a width in pixels that the text fits in with any font. East Asian characters are square."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return font_size * (0.6 * (len(text) - wide) + 1.05 * wide)


def metric_name(key: object) -> str:
    """Return the name of a metric in words.

    Example:
        >>> metric_name("masked_lm_accuracy"), metric_name("macro_f1")
        ('Masked-LM accuracy', 'Macro F1')
    """
    words = [_WORDS.get(word, word) for word in plain_text(key).replace("_", " ").split()]
    name = " ".join(words).replace("masked LM", "masked-LM").replace("next sentence", "next-sentence")
    return name[:1].upper() + name[1:]


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value is a number and not a Boolean."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.bool_))


def is_share(name: object, values: Sequence[float]) -> bool:
    """Return whether numbers of this name are shares of one, which are best shown in percent."""
    text = str(name).strip()
    if _NO_SHARES.search(text) or not _SHARES.search(text):
        return False
    return all(0 <= value <= 1 for value in values if math.isfinite(value))


def percent(share: float, decimals: int = 1) -> str:
    """Format a share of one in percent.

    Example:
        >>> percent(0.8434), percent(0.00031), percent(1.0)
        ('84.3%', '0.031%', '100.0%')
    """
    if not math.isfinite(share):
        return NOTHING
    if 0 < share < 0.001 and decimals < 2:
        return f"{100 * share:.2g}%" if share >= 1e-6 else f"{_tidy_exponent(f'{100 * share:.1e}')}%"
    return f"{100 * share:.{decimals}f}%"


def number(value: float) -> str:
    """Format a measured number with four significant digits, or a count in full.

    Example:
        >>> number(12345), number(2.30259), number(0.000012), number(1234567.8)
        ('12,345', '2.303', '1.2e-5', '1,234,568')
    """
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    if abs(value) < 1e-3 or abs(value) >= 1e12:
        return _tidy_exponent(f"{value:.3g}")
    return f"{value:,.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def named_number(name: object, value: float) -> str:
    """Format one number according to its name: percent for an accuracy, digits for a loss."""
    value = value if isinstance(value, (int, np.integer)) else float(value)
    return percent(float(value)) if is_share(name, [float(value)]) else number(value)


def setting(value: object) -> str:
    """Format a setting as a user would type it: all digits, no thousands separators."""
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return _tidy_exponent(repr(float(value)))
    if isinstance(value, (list, tuple, dict)):
        return plain_text(json.dumps(value, ensure_ascii=False, default=str))
    return plain_text(value)


def column_is_numeric(values: Sequence[object]) -> bool:
    """Return whether a column is right-aligned: numbers, or texts that begin with a digit, e.g. "0.84 ± 0.01"."""
    given = [value for value in values if value is not None and value != ""]
    return bool(given) and all(is_number(value) or re.match(r"[-+<>≤≥]?\s*\d", str(value)) for value in given)


def column(name: object, values: Sequence[object]) -> list[str]:
    """Format a table's column, all its numbers with the same number of decimals, so that they line up."""
    numbers = [float(value) for value in values if is_number(value)]
    finite = [value for value in numbers if math.isfinite(value)]
    shares = is_share(name, numbers)
    whole = all(isinstance(value, (int, np.integer)) for value in values if is_number(value))
    decimals = _decimals(finite, shares)

    def cell(value: Any) -> str:
        if value is None or value == "":
            return NOTHING
        if isinstance(value, (bool, np.bool_)):
            return "yes" if value else "no"
        if not is_number(value):
            return plain_text(value)
        if shares:
            return percent(float(value), decimals)
        if whole or not math.isfinite(value) or 0 < abs(value) < 0.5 * 10**-decimals:
            return number(value)
        return f"{value:,.{decimals}f}"

    return [cell(value) for value in values]


def _decimals(finite: list[float], shares: bool) -> int:
    """The decimals of a column: four significant digits of its largest number, or one decimal for percent."""
    if shares:
        return 2 if any(0 < value < 0.001 for value in finite) else 1
    greatest = max((abs(value) for value in finite), default=0.0)
    return min(4, max(0, 3 - math.floor(math.log10(greatest)))) if greatest else 0


def _tidy_exponent(text: str) -> str:
    """Write `1e-05` as `1e-5`."""
    return re.sub(r"e([-+])0*(\d)", lambda match: f"e{match[1].replace('+', '')}{match[2]}", text)
