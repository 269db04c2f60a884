"""Learns a word-piece vocabulary from text.

Counts words with the tokenizer's own normalization, then runs tensorflow-text's learner on the counts (the algorithm
of Google's multilingual vocabularies). Lines may come from anywhere; reading files: see data/.
"""

import itertools
from collections import Counter
from collections.abc import Iterable

import tensorflow as tf
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

from kerasbert.errors import BadInputError
from kerasbert.preprocessing.character_tables import PUNCTUATION_ESCAPES
from kerasbert.preprocessing.tokenizer import WordPieceTokenizer
from kerasbert.preprocessing.vocabulary import SPECIAL_TOKENS, SUFFIX_MARK, Vocabulary

_LINES_AT_ONCE = 1024
_UNESCAPED = {escape: point for point, escape in PUNCTUATION_ESCAPES.items()}
_LONGEST_WORD = 50  # characters; longer ones are rarely words, and the learner's time grows with the square


def learn_vocabulary(
    lines: Iterable[str],
    size: int,
    lower_case: bool = True,
    strip_accents: bool | None = None,
    split_cjk: bool = True,
    normalization: str = "google",
    min_count: int = 2,
) -> Vocabulary:
    """Learns up to `size` word pieces. The same lines give the same vocabulary.

    The vocabulary contains every character of the text, or the most frequent ones if not all fit into `size`.

    Args:
        lines: the text, which is streamed: only its distinct words are kept in memory.
        size: maximum number of pieces, including special tokens. It is reached if the text has enough words.
        lower_case: as for `WordPieceTokenizer`.
        strip_accents: as for `WordPieceTokenizer`.
        split_cjk: as for `WordPieceTokenizer`.
        normalization: as for `WordPieceTokenizer`.
        min_count: how often a piece of more than one character must occur.

    Raises:
        BadInputError: the lines contain no word.
        ValueError: `size` leaves no room for pieces in addition to the special tokens, or `min_count` is below 1.

    Example:
        >>> vocabulary = learn_vocabulary(["the cat sat", "the cat ran"] * 3, size=24)
        >>> "cat" in vocabulary, len(vocabulary) <= 24
        (True, True)
    """
    if size < len(SPECIAL_TOKENS) + 2:
        raise ValueError(
            f"`size` must leave room for pieces in addition to the {len(SPECIAL_TOKENS)} special tokens. "
            f"Received: size={size!r}. For example `size=8000`."
        )
    if min_count < 1:
        raise ValueError(f"`min_count` must be at least 1. Received: min_count={min_count!r}.")
    splitter = WordPieceTokenizer(
        Vocabulary([*SPECIAL_TOKENS, "a"]), lower_case, strip_accents, split_cjk, normalization=normalization
    )
    counts = _count_words(lines, splitter)
    if not counts:
        raise BadInputError("A vocabulary is learned from words. Received: text without any. Add text.")
    return Vocabulary(_learn_pieces(counts, size, min_count))


def _count_words(lines: Iterable[str], splitter: WordPieceTokenizer) -> Counter[str]:
    """Counts how often each normalized word occurs."""
    split = tf.function(
        lambda texts: splitter.words(texts).values,
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    counts: Counter[bytes] = Counter()
    iterator = iter(lines)
    while batch := list(itertools.islice(iterator, _LINES_AT_ONCE)):
        counts.update(split(tf.constant(batch)).numpy().tolist())
    # Sorted by count, then alphabetically, so that neither hashing nor the order of lines matters.
    words = {word.decode("utf-8", "ignore").translate(_UNESCAPED): count for word, count in counts.items()}
    return Counter(dict(sorted(words.items(), key=lambda item: (-item[1], item[0]))))


def _learn_pieces(counts: Counter[str], size: int, min_count: int) -> list[str]:
    """Returns special tokens, characters, and then longer pieces by descending count: at most `size` in total."""
    alone, inside = _kept_characters(counts, size - len(SPECIAL_TOKENS))
    characters = [*sorted(alone | inside), *(SUFFIX_MARK + character for character in sorted(inside))]
    words = [
        (word, count)
        for word, count in counts.items()
        if 1 < len(word) <= _LONGEST_WORD and inside.issuperset(word) and word not in SPECIAL_TOKENS
    ]
    room = size - len(SPECIAL_TOKENS) - len(characters)
    return [*SPECIAL_TOKENS, *characters, *_longer_pieces(words, room, min_count)]


def _kept_characters(counts: Counter[str], room: int) -> tuple[set[str], set[str]]:
    """Returns the most frequent characters that fit: those that occur only alone, and those within words.

    A character of the first kind (CJK, punctuation) needs one piece, and one of the second kind two: "a" and "##a".
    """
    frequency: Counter[str] = Counter()
    within_words: set[str] = set()
    for word, count in counts.items():
        for character in word:
            frequency[character] += count
        if len(word) > 1:
            within_words.update(word)
    alone: set[str] = set()
    inside: set[str] = set()
    for character, _ in sorted(frequency.items(), key=lambda item: (-item[1], item[0])):
        kind, needed = (inside, 2) if character in within_words else (alone, 1)
        if needed <= room:
            kind.add(character)
            room -= needed
    return alone, inside


def _longer_pieces(words: list[tuple[str, int]], room: int, min_count: int) -> list[str]:
    """Returns the most frequent pieces of more than one character, `room` of them if the words have that many.

    The learner takes a minimum count of pieces. This function searches for the count that gives enough pieces, up to a
    tenth too many, and drops the rarest ones.
    """
    if not words or room <= 0:
        return []
    enough: list[str] | None = None
    low, too_high = min_count, max(count for _, count in words) + 1
    threshold = min(max(min_count, words[min(room, len(words)) - 1][1]), too_high - 1)
    while True:
        pieces = _learn_with_count(words, threshold)
        if len(pieces) >= room or threshold <= min_count:
            enough, low = pieces, threshold
        else:
            too_high = threshold
        if enough is not None and (len(enough) <= room * 1.1 or too_high - low <= 1):
            return enough[:room]
        # The number of pieces is roughly inversely proportional to the minimum count.
        guess = round(threshold * len(pieces) / room)
        threshold = min(max(guess, low if enough is None else low + 1), too_high - 1)


def _learn_with_count(words: list[tuple[str, int]], min_count: int) -> list[str]:
    """Returns the pieces of more than one character that occur at least `min_count` times, by descending count."""
    params = learner.Params(
        upper_thresh=None,
        lower_thresh=None,
        num_iterations=4,
        max_input_tokens=None,
        max_token_length=_LONGEST_WORD,
        max_unique_chars=None,
        vocab_size=None,
        slack_ratio=None,
        include_joiner_token=True,
        joiner=SUFFIX_MARK,
        reserved_tokens=[],
    )
    pieces = learner.learn_with_thresh(words, min_count, params)
    return [piece for piece in pieces if len(piece.removeprefix(SUFFIX_MARK)) > 1]
