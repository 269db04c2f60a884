"""The rules of google-research/bert's tokenization.py for a single character, independent of the Python version.

The original uses Python's `unicodedata`, so its results depend on the Python version. The rules here follow a fixed
version of Unicode: characters that were assigned later count as unassigned. Whole texts: see normalization.py.
"""

import unicodedata
from collections.abc import Iterable, Iterator

UNICODE_VERSION = "13.0.0"  # that of Python 3.10

# Code points that Unicode 14 to 18 assigned to marks, punctuation, format characters and letters with case, which are
# the kinds that the rules distinguish. All other later characters are plain word characters in either case.
_ASSIGNED_LATER = """
58B-58C 5C8-5C9 61D 888 890-891 897-89F 8C9-8D2 B53-B54 C3C ECE 180F 1AC1-1AF0 1B4E-1B4F 1B7D-1B7F 1C89-1C8A 1DFA
208F 209D-209F 2C2F 2C5F 2E53-2E5D 2E60-2E63 A7C0-A7C1 A7CB-A7DD A7E2 A7F1-A7F4 AB6C-AB6D FBC2 10570-1057A 1057C-1058A
1058C-10592 10594-10595 10597-105A1 105A3-105B1 105B3-105B9 105BB-105BC 105C9 105E4 10780-10785 10787-107B0 107B2-107BF
10D4E 10D50-10D65 10D69-10D85 10EC5 10EC9-10ED0 10EF0-10EFF 10F82-10F89 11070 11073-11074 110C2 11241 11383 11385 1138E
11391 113BB-113C0 113C5 113C7-113C8 113CE 113D0 113D2 113D4-113D5 113D7-113D8 113E1-113E2 116B9 11B00-11B09 11B60
11B62-11B64 11B66 11BE1 11DD9 11DF0 11F00-11F01 11F36-11F3A 11F40 11F42-11F4F 11F5A 12FF1-12FF2 13439-13440 13447-13455
1611E-16129 1612D-1612F 16D40-16D42 16D68-16D6F 16EA0-16EB8 16EBB-16ED3 16FF2-16FF3 1AFF0-1AFF3 1AFF5-1AFFB 1AFFD-1AFFE
1CF00-1CF2D 1CF30-1CF46 1D127-1D128 1D25B-1D25C 1D6A6 1DF00-1DF09 1DF0B-1DF7F 1DF90-1DF96 1DFCD-1DFFF 1E030-1E06D 1E08F
1E2AE 1E4EB-1E4EF 1E5EE-1E5EF 1E5FF 1E6E3 1E6E6 1E6EE-1E6EF 1E6F5 1E6FF
"""
# Characters that are punctuation in only some Unicode versions from 12.1 (tensorflow-text 2.10) to 18. The first line
# was assigned in version 13, the rest later.
_DISPUTED_PUNCTUATION = """
2E52 10EAD 1145A 11944-11946
61D 1B4E-1B4F 1B7D-1B7F 2E53-2E5D 2E60-2E63 10D6E 10ED0 10F86-10F89 113D4-113D5 113D7-113D8 116B9 11B00-11B09 11BE1
11F43-11F4F 12FF1-12FF2 16D6D-16D6F 1E5FF
"""
_CATEGORY_THEN = {0x1734: "Mn", 0x1171E: "Mn"}  # spacing marks since versions 14 and 16

CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_CIRCLED_LETTERS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))


def _code_points(text: str) -> frozenset[int]:
    points: set[int] = set()
    for field in text.split():
        first, _, last = field.partition("-")
        points.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(points)


ASSIGNED_LATER = _code_points(_ASSIGNED_LATER)
DISPUTED_PUNCTUATION = _code_points(_DISPUTED_PUNCTUATION)


def category(char: str) -> str:
    """Returns the general category of a character in Unicode 13.0, e.g. `Lu`."""
    if ord(char) in ASSIGNED_LATER:
        return "Cn"
    return _CATEGORY_THEN.get(ord(char)) or unicodedata.category(char)


def combining_class(char: str) -> int:
    """Returns the canonical combining class of a character in Unicode 13.0, which is 0 for all but combining marks."""
    return 0 if ord(char) in ASSIGNED_LATER else unicodedata.combining(char)


def is_dropped(char: str) -> bool:
    """Returns whether cleaning drops the character: control and format characters, NUL, U+FFFD (`_clean_text`)."""
    if char in "\t\n\r":
        return False
    return char in "\0\ufffd" or category(char) in ("Cc", "Cf")


def is_space(char: str) -> bool:
    """Returns whether the character separates words: spaces, and the two separators at which `str.split` splits too."""
    return char in " \t\n\r\u2028\u2029" or category(char) == "Zs"


def is_punctuation(char: str) -> bool:
    """Whether the character is a separate word (`_is_punctuation`): ASCII punctuation, and Unicode's category P."""
    point = ord(char)
    if 33 <= point <= 47 or 58 <= point <= 64 or 91 <= point <= 96 or 123 <= point <= 126:
        return True
    return category(char).startswith("P")


def is_cjk(char: str) -> bool:
    """Whether the character is a CJK ideograph (`_is_chinese_char`)."""
    return any(first <= ord(char) <= last for first, last in CJK_RANGES)


def is_word_character(char: str) -> bool:
    r"""Returns whether the character is a word character in Unicode's regular expressions (`\w`, UTS 18, annex C)."""
    kind = category(char)
    if kind[0] in "LM" or kind in ("Nd", "Nl", "Pc") or char in "\u200c\u200d":
        return True
    return any(first <= ord(char) <= last for first, last in _CIRCLED_LETTERS)


def rewritten(char: str, lower_case: bool, strip_accents: bool) -> str:
    """Returns what a character that is neither dropped nor a space becomes, regardless of its neighbours."""
    if ord(char) in ASSIGNED_LATER:
        return char
    text = char.lower() if lower_case else char
    if strip_accents and not text.isascii():
        text = "".join(part for part in unicodedata.normalize("NFD", text) if category(part) != "Mn")
    return text


def is_cased(char: str) -> bool:
    """Returns whether a capital sigma after this character, at the end of a word, becomes a final sigma."""
    return ord(char) not in ASSIGNED_LATER and (char + "Σ").lower().endswith("ς")


def is_ignored_by_sigma(char: str) -> bool:
    """Returns whether the search for a cased neighbour of a sigma skips this character, which cleaning keeps."""
    if ord(char) in _CATEGORY_THEN:
        return True
    if ord(char) in ASSIGNED_LATER or is_dropped(char) or is_cased(char):
        return False
    return ("A" + char + "Σ").lower().endswith("ς")


def characters() -> Iterator[str]:
    """Returns every character that a rule may change, i.e. all except ideographs, private use and empty planes."""
    for first, last in ((0, 0x33FF), (0xA000, 0xD7FF), (0xF900, 0x1FFFF), (0x2F800, 0x2FA1F), (0xE0000, 0xE0FFF)):
        yield from map(chr, range(first, last + 1))


def regex_class(chars: Iterable[str]) -> str:
    r"""Returns the characters as the inside of an RE2 character class, e.g. `\x{41}-\x{5A}`."""
    ranges: list[list[int]] = []
    for point in sorted(map(ord, chars)):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges)
