"""Cleans text before it is split into words, in the TensorFlow graph.

Nearly all of it is one op with a table of characters (see character_tables.py). Rules that depend on a character's
neighbours run only for texts in which a search finds a reason: a capital sigma, a word that is too long, or combining
marks in another than the canonical order (see mark_order.py). Vocabulary lookup: see tokenizer.py.

Shapes: B batch.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.preprocessing import character_rules as rules
from kerasbert.preprocessing import character_tables as tables
from kerasbert.preprocessing.mark_order import disorder_pattern, ordered_marks
from kerasbert.preprocessing.normalizer_model import build_normalizer_model
from kerasbert.preprocessing.ragged_rows import join_rows
from kerasbert.preprocessing.traced_once import TracedOnce

NORMALIZATIONS = ("google", "tf_text")

# In RE2's character classes. Patterns for the google rules name no Unicode property: RE2's tables change too.
_ASCII_PUNCTUATION = r"!-/:-@\[-`{-~"
_CJK = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in rules.CJK_RANGES)
_DROPPED_CHARACTER = "\x01"  # in no normalized text, so in no piece either


class TextNormalizer(tf.Module):
    """Cleans texts by one set of rules.

    Args:
        normalization: `"google"` for google-research/bert's rules, `"tf_text"` for tensorflow-text's.
        lower_case: whether to fold case.
        strip_accents: whether to decompose characters and drop their accents.
        split_cjk: whether a CJK character is a word of its own.
        max_word_length: with `"google"`, a longer word is changed so that no vocabulary contains it.
    """

    def __init__(
        self,
        normalization: str,
        lower_case: bool,
        strip_accents: bool,
        split_cjk: bool,
        max_word_length: int,
    ) -> None:
        super().__init__()
        google = normalization == "google"
        self._max_word_length = max_word_length
        self._has_sigma = google and lower_case
        self._orders_marks = google and strip_accents
        with tf.init_scope():
            self._op = _character_op(normalization, lower_case, strip_accents)
        # The insides of character classes: characters that are words of their own, and characters between words.
        self._apart = _ASCII_PUNCTUATION + (_CJK if split_cjk else "")
        self._apart += tables.UNSPACED_PUNCTUATION if google else r"\p{P}"
        self._space = " " if google else r"\s\p{Z}"
        self._needs_context = _context_pattern(lower_case, strip_accents, max_word_length) if google else None
        text_spec = tf.TensorSpec([None], tf.string)
        self._apply_context = TracedOnce(self._change_in_context, text_spec, text_spec)

    def normalize(self, texts: tf.Tensor) -> tf.Tensor:
        """String [B] -> string [B]."""
        return self._in_context(texts, self._op.normalize(texts))

    def normalize_with_offsets(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.RaggedTensor]:
        """The normalized texts, and where each of their bytes, and their end, came from: int64 [B, (bytes + 1)]."""
        normalized, origins = self._op.normalize_with_offsets(texts)
        return self._in_context(texts, normalized), origins

    def split(self, normalized: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """The words of normalized texts and the bytes where they start: ragged [B, (words)], string and int64."""
        words, starts, _ = tf_text.regex_split_with_offsets(
            normalized, f"[{self._space}]+|[{self._apart}]", f"[{self._apart}]"
        )
        return words, starts

    def _in_context(self, texts: tf.Tensor, normalized: tf.Tensor) -> tf.Tensor:
        """Normalized texts after the rules that look at neighbours, as many bytes as before."""
        if self._needs_context is None:
            return normalized
        chosen = tf.strings.regex_full_match(normalized, self._needs_context)
        return _replaced(
            normalized,
            chosen,
            lambda: self._apply_context(tf.boolean_mask(texts, chosen), tf.boolean_mask(normalized, chosen)),
        )

    def _change_in_context(self, texts: tf.Tensor, normalized: tf.Tensor) -> tf.Tensor:
        """The same for texts that need it. No rule looks beyond a space, so that few words cost more than a search."""
        if self._orders_marks:
            chosen = tf.strings.regex_full_match(normalized, rf"\C*(?:{disorder_pattern()})\C*")
            normalized = _replaced(
                normalized, chosen, lambda: self._op.normalize(ordered_marks(tf.boolean_mask(texts, chosen)))
            )
        by_space = tf.strings.split(normalized, " ")
        words = by_space.values
        if self._has_sigma:
            words = _where(words, rf"\C*{tables.CAPITAL_SIGMA}\C*", _lower_sigmas)
        words = _changed(words, tf.strings.length(words) > self._max_word_length, self._make_unknown)
        # Without join_rows' separator: TensorFlow leaves it out after an empty first word.
        joined = join_rows(by_space.with_values(tf.strings.join([" ", words])))
        lengths = tf.strings.length(joined)
        return tf.strings.substr(joined, tf.ones_like(lengths), lengths - 1)

    def _make_unknown(self, texts: tf.Tensor) -> tf.Tensor:
        """The texts with words that are too long changed so that no piece begins them."""
        # Cut into words and the text between them, so that all parts can be joined again.
        parts = tf_text.regex_split(texts, f"[{self._apart}]", f"[{self._apart}]")
        too_long = tf.strings.length(parts.values, unit="UTF8_CHAR") > self._max_word_length
        return join_rows(parts.with_values(_changed(parts.values, too_long, _drop_beginnings)))


@functools.cache
def shared_normalizer(
    normalization: str, lower_case: bool, strip_accents: bool, split_cjk: bool, max_word_length: int
) -> TextNormalizer:
    """The normalizer with these arguments: all tokenizers of a process share it, its tables and its graph."""
    return TextNormalizer(normalization, lower_case, strip_accents, split_cjk, max_word_length)


def _where(texts: tf.Tensor, pattern: str, change: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """The texts, with those changed that match the pattern as a whole; the others cost only the search."""
    return _changed(texts, tf.strings.regex_full_match(texts, pattern), change)


def _changed(texts: tf.Tensor, chosen: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """The texts with the chosen ones changed, at no cost if none is chosen: string [B], bool [B] -> string [B]."""
    return _replaced(texts, chosen, lambda: change(tf.boolean_mask(texts, chosen)))


def _replaced(texts: tf.Tensor, chosen: tf.Tensor, replacements: Callable[[], tf.Tensor]) -> tf.Tensor:
    """The texts with replacements for the chosen ones, at no cost if none is chosen."""

    def replaced() -> tf.Tensor:
        both = tf.concat([texts, replacements()], axis=0)
        place_if_chosen = tf.size(texts) - 1 + tf.cumsum(tf.cast(chosen, tf.int32))
        return tf.gather(both, tf.where(chosen, place_if_chosen, tf.range(tf.size(texts))))

    return tf.cond(tf.reduce_any(chosen), replaced, lambda: texts)


@functools.cache
def _character_op(normalization: str, lower_case: bool, strip_accents: bool) -> tf_text.FastBertNormalizer:
    """The op with its table."""
    if normalization == "tf_text" and lower_case == strip_accents:
        return tf_text.FastBertNormalizer(lower_case_nfd_strip_accents=lower_case)
    make_table = tables.google_table if normalization == "google" else tables.tf_text_table
    table = make_table(lower_case, strip_accents)
    model = np.frombuffer(build_normalizer_model(table), np.uint8)
    return tf_text.FastBertNormalizer(model_buffer=tf.constant(model))


def _drop_beginnings(words: tf.Tensor) -> tf.Tensor:
    """The words with their first character replaced by as many bytes of a character that no piece has."""
    first = tf.strings.length(tf.strings.substr(words, 0, 1, unit="UTF8_CHAR"))  # [words], bytes
    rest = tf.strings.substr(words, first, tf.strings.length(words) - first)
    return tf.strings.join([tf.strings.substr(_DROPPED_CHARACTER * 4, tf.zeros_like(first), first), rest])


def _context_pattern(lower_case: bool, strip_accents: bool, max_word_length: int) -> str:
    """Matches each normalized text that has a capital sigma, a word too long or marks in disorder, and few others.

    Others match because not every character that ends a word does so here, and because a shorter run is enough if the
    limit is high: the search takes memory for each character that it counts.
    """
    ends = f" {_ASCII_PUNCTUATION}"
    long = f"[^{ends}]{{{min(max_word_length, 200) + 1}}}"
    reasons = [f"(?:.*[{ends}])?{long}"]
    if lower_case:
        reasons.append(f".*{tables.CAPITAL_SIGMA}")
    if strip_accents:
        reasons.append(f".*(?:{disorder_pattern()})")
    return f"(?s)(?:{'|'.join(reasons)}).*"


def _lower_sigmas(words: tf.Tensor) -> tf.Tensor:
    """Words with each capital sigma replaced by the small one that its neighbours require."""
    words = tf.strings.regex_replace(words, *_final_sigma())
    return tf.strings.regex_replace(words, tables.CAPITAL_SIGMA, "σ")


@functools.cache
def _final_sigma() -> tuple[str, str]:
    """Python's `str.lower`: a capital sigma after a cased letter becomes a final one, unless one follows.

    Neighbours answer after normalization as they did before it.
    """
    cased = rules.regex_class(filter(rules.is_cased, rules.characters()))
    ignored = rules.regex_class(filter(rules.is_ignored_by_sigma, rules.characters()))
    return f"([{cased}][{ignored}]*){tables.CAPITAL_SIGMA}([{ignored}]*(?:[^{cased}{ignored}]|$))", r"\1ς\2"
