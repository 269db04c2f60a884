"""Which scripts texts are written in."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

# Names of scripts that consist of more than one word, or that Unicode calls otherwise.
_NAMES = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


@lru_cache(maxsize=65536)
def _script(character: str) -> str:
    word = unicodedata.name(character, "OTHER").split()[0].partition("-")[0]
    return _NAMES.get(word, word.capitalize())


def script_shares(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of letters of each script, the most frequent first.

    Args:
        texts: the texts.

    Returns:
        The first word of the Unicode names of the letters, e.g. "Latin" or "Cyrillic"; "Chinese" stands for all
        ideographs.

    Example:
        >>> script_shares(["Where?", "где"])
        {'Latin': 0.625, 'Cyrillic': 0.375}
    """
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    letters: Counter[str] = Counter()
    for character, count in characters.items():
        if character.isalpha():
            letters[_script(character)] += count
    total = sum(letters.values())
    return {script: count / total for script, count in letters.most_common()}
