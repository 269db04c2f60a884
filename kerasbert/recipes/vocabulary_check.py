"""Refuses text whose words are not in the vocabulary: the model would read [UNK] instead."""

import itertools
from collections.abc import Iterable, Iterator

import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import WordPieceTokenizer

CHECK_CHARACTERS = 2_000_000  # the amount of text that is examined
_LINES_AT_ONCE = 512
_REMEDY = "Start from a model of the text's language and script"


def check_unknown_words(
    tokenizer: WordPieceTokenizer, lines: Iterable[str], max_share: float, source: str | None, remedy: str = _REMEDY
) -> float:
    """Returns the share of word pieces that are [UNK].

    Args:
        tokenizer: The tokenizer with the vocabulary.
        lines: The text, all of which is examined.
        max_share: The largest allowed share: the setting `max_unknown_share`.
        source: Where the vocabulary comes from, for the message.
        remedy: A fix for the message, in addition to raising `max_unknown_share`.

    Raises:
        BadInputError: The share is larger than `max_share`.
    """
    unknown = total = 0
    rest = iter(lines)
    while batch := list(itertools.islice(rest, _LINES_AT_ONCE)):
        ids = tokenizer.tokenize(tf.constant(batch)).values.numpy()
        unknown += int((ids == tokenizer.vocabulary.unk_id).sum())
        total += len(ids)
    share = unknown / total if total else 0.0
    if share > max_share:
        raise BadInputError(
            f"The vocabulary must know the text's words. Received: {share:.0%} of them unknown to "
            f"{f'{source!r}' if source else 'the vocabulary'}, which has {len(tokenizer.vocabulary)} pieces (at most "
            f"{max_share:.0%} are allowed). {remedy}, or raise `max_unknown_share`."
        )
    return share


def first_characters(lines: Iterable[str], characters: int = CHECK_CHARACTERS) -> Iterator[str]:
    """Yields the first lines until they have the given number of characters."""
    for line in lines:
        if characters <= 0:
            return
        characters -= len(line)
        yield line
