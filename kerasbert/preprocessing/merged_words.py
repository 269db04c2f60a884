"""Finds differently spelled words of a text that normalization merges.

The default of an uncased vocabulary, lower-casing and dropping accents, suits English. In many other languages, words
differ only in accents, vowel signs or dots.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import tensorflow as tf

from kerasbert.preprocessing.tokenizer import WordPieceTokenizer
from kerasbert.preprocessing.vocabulary import SPECIAL_TOKENS, Vocabulary

_LINES_AT_ONCE = 1024
_EXAMPLES = 3
# Turkish and Azerbaijani: the small letter of "I" is "ı", that of "İ" is "i".
_TURKISH_LETTERS = "ıİ"
_TURKISH_LOWER = str.maketrans({"I": "ı", "İ": "i"})


@dataclass(frozen=True)
class MergedWords:
    """Differently spelled words that normalization merges.

    Attributes:
        count: number of distinct words that become the same as another one.
        examples: up to three groups of such words, the most frequent first.
        by_accents: whether keeping accents would keep at least one of them distinct.
        by_case: whether at least one of them stays distinct only with its capital letters.

    Example:
        >>> merged = MergedWords(count=2, examples=(("ano", "año"),), by_accents=True)
        >>> merged.warning().split(";")[1].strip()
        '`strip_accents=False` keeps them apart'
    """

    count: int = 0
    examples: tuple[tuple[str, ...], ...] = ()
    by_accents: bool = False
    by_case: bool = False

    def warning(self) -> str | None:
        """Returns one sentence that names the setting that keeps the words apart, or None if no words are merged."""
        if not self.count:
            return None
        listed = "; ".join(" = ".join(words) for words in self.examples)
        settings = ["`strip_accents=False`"] * self.by_accents + ["`lower_case=False`"] * self.by_case
        return (
            f"{self.count} words of the text that are spelled differently become the same ({listed}); "
            f"{' and '.join(settings)} keeps them apart"
        )


def merged_words(lines: Iterable[str], tokenizer: WordPieceTokenizer) -> MergedWords:
    """Counts the words of a text that a tokenizer's normalization merges.

    Words that differ only in capital letters do not count, because sentences begin with a capital letter in most
    languages. Different encodings of the same letters (a composed "é" and one of two characters) do not count either.
    In a text with the Turkish letters "ı" or "İ", the small letter of "I" is "ı", so "SIK" and "sik" count.

    Args:
        lines: the text, or a sample of it. Its distinct words are kept in memory.
        tokenizer: a tokenizer, whose rules for capital letters and accents are used, but not its vocabulary.

    Returns:
        The count, examples, and whether accents or capital letters would keep the words apart.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        >>> merged = merged_words(["año ano Año", "hacia hacía"], WordPieceTokenizer(vocabulary))
        >>> merged.count, merged.examples
        (4, (('ano', 'año'), ('hacia', 'hacía')))
    """
    if not tokenizer.lower_case and not tokenizer.strip_accents:
        return MergedWords()
    spelled = _spelled_words(lines, tokenizer)
    is_turkish = any(letter in word for word in spelled for letter in _TURKISH_LETTERS)
    counts: Counter[str] = Counter()
    for word, count in spelled.items():
        counts[_comparable(word, is_turkish)] += count
    # Words that are merged by the tokenizer's rules, and by the same rules without those for accents.
    groups = _grouped(spelled, tokenizer, is_turkish, strip_accents=tokenizer.strip_accents)
    by_case = _grouped(spelled, tokenizer, is_turkish, strip_accents=False) if groups else []
    merged_by_case = {word for group in by_case for word in group}
    groups.sort(key=lambda group: (-sum(sorted(counts[word] for word in group)[:-1]), group))
    return MergedWords(
        count=sum(map(len, groups)),
        examples=tuple(groups[:_EXAMPLES]),
        by_accents=any(not merged_by_case.issuperset(group) for group in groups),
        by_case=bool(by_case),
    )


def _splitter(tokenizer: WordPieceTokenizer, lower_case: bool, strip_accents: bool) -> WordPieceTokenizer:
    """Returns a tokenizer with other rules for capital letters and accents, which is used only to split words."""
    return WordPieceTokenizer(
        Vocabulary([*SPECIAL_TOKENS, "a"]),
        lower_case,
        strip_accents,
        tokenizer.split_cjk,
        normalization=tokenizer.normalization,
    )


def _spelled_words(lines: Iterable[str], tokenizer: WordPieceTokenizer) -> Counter[str]:
    """Counts how often each word occurs in its original spelling."""
    splitter = _splitter(tokenizer, lower_case=False, strip_accents=False)
    counts: Counter[str] = Counter()
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _LINES_AT_ONCE:
            counts.update(_words(batch, splitter))
            batch = []
    if batch:
        counts.update(_words(batch, splitter))
    return counts


def _words(texts: list[str], splitter: WordPieceTokenizer) -> list[str]:
    words = splitter.words(tf.constant(texts)).values.numpy().tolist()
    return [word.decode("utf-8", "ignore") for word in words]


def _comparable(word: str, is_turkish: bool) -> str:
    """Returns the form in which words are compared: composed, and in small letters by the rules of the language."""
    word = unicodedata.normalize("NFC", word)
    return unicodedata.normalize("NFC", (word.translate(_TURKISH_LOWER) if is_turkish else word).lower())


def _grouped(
    spelled: Iterable[str], tokenizer: WordPieceTokenizer, is_turkish: bool, strip_accents: bool
) -> list[tuple[str, ...]]:
    """Returns the groups of different words that become the same."""
    words = sorted(spelled)
    splitter = _splitter(tokenizer, tokenizer.lower_case, strip_accents)
    groups: defaultdict[tuple[bytes, ...], set[str]] = defaultdict(set)
    for first in range(0, len(words), _LINES_AT_ONCE):
        chosen = words[first : first + _LINES_AT_ONCE]
        for word, normalized in zip(chosen, splitter.words(tf.constant(chosen)).to_list(), strict=True):
            groups[tuple(normalized)].add(_comparable(word, is_turkish))
    return [tuple(sorted(group)) for normalized, group in groups.items() if normalized and len(group) > 1]
