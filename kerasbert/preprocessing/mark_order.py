"""Puts combining marks into canonical order, in the TensorFlow graph.

google-research/bert decomposes each word by `unicodedata.normalize("NFD", ...)` before it drops accents. NFD also
sorts the marks after a letter by their combining class. Since accents are dropped, this only affects other marks
(category Mc, e.g. musical stems, Hangul tone marks and some viramas).

Shapes: B batch, C characters (differs by row).
"""

import functools
import unicodedata

import tensorflow as tf

from kerasbert.preprocessing import character_rules as rules
from kerasbert.preprocessing.ragged_rows import row_numbers


@functools.cache
def disorder_pattern() -> str:
    """A pattern that matches normalized text in which two adjacent marks are not in the order of their classes."""
    classes: dict[int, list[str]] = {}
    for mark, number in _kept_marks().items():
        classes.setdefault(number, []).append(mark)
    numbers = sorted(classes)
    pairs = []
    for number in numbers[:-1]:
        higher = [mark for other in numbers if other > number for mark in classes[other]]
        pairs.append(f"[{rules.regex_class(higher)}][{rules.regex_class(classes[number])}]")
    return "|".join(pairs)


def ordered_marks(texts: tf.Tensor) -> tf.Tensor:
    """Puts the marks of each letter in original texts into canonical order: string [B] -> string [B].

    Only the order of marks that remain after accents are dropped is correct.
    """
    for char, parts in _decomposed_with_marks().items():
        texts = tf.strings.regex_replace(texts, char, parts)
    chars = tf.strings.unicode_decode(texts, "UTF-8", errors="ignore")  # [B, (C)]
    points, classes = (tf.constant(values, tf.int32) for values in _classes())
    place = tf.minimum(tf.searchsorted(points, chars.values), tf.size(points) - 1)
    is_within = tf.gather(points, place) == chars.values  # [characters in all]
    number = tf.where(is_within, tf.gather(classes, place), 0)
    rows = row_numbers(chars)  # [characters in all]
    is_first = tf.concat([[True], rows[1:] != rows[:-1]], axis=0)[: tf.size(rows)]
    group = tf.cumsum(tf.cast(~is_within | is_first, tf.int64))
    order = tf.argsort(group * 256 + tf.cast(number, tf.int64), stable=True)
    return tf.strings.unicode_encode(chars.with_values(tf.gather(chars.values, order)), "UTF-8")


@functools.cache
def _kept_marks() -> dict[str, int]:
    """Returns the marks that have a combining class but are not accents, with their classes."""
    return {
        char: rules.combining_class(char)
        for char in rules.characters()
        if rules.combining_class(char) and rules.category(char) != "Mn"
    }


@functools.cache
def _decomposed_with_marks() -> dict[str, str]:
    """Returns characters whose decomposition contains such a mark, with their decompositions."""
    parts = {char: unicodedata.normalize("NFD", char) for char in rules.characters() if ord(char) > 0x7F}
    kept = _kept_marks()
    return {char: text for char, text in parts.items() if text != char and not kept.keys().isdisjoint(text)}


@functools.cache
def _classes() -> tuple[list[int], list[int]]:
    """The code points that do not start a new sequence of marks, and their classes: 0 for those that are dropped."""
    kept = _kept_marks()
    classes = {
        ord(char): kept.get(char, 0)
        for char in rules.characters()
        if char in kept or rules.is_dropped(char) or all(map(rules.combining_class, unicodedata.normalize("NFD", char)))
    }
    return list(classes), list(classes.values())
