"""Tokens that stay whole in a text: those that were added to a vocabulary after training, and special tokens.

The text is split at these tokens, and the parts between them are split into word pieces separately, as in Hugging
Face's tokenizers. Word pieces: see tokenizer.py.

Shapes: B batch, P parts of a text (differs by row), T tokens (differs by row).
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.preprocessing import character_rules as rules
from kerasbert.preprocessing.ragged_rows import row_numbers

# Ids alone, or ids and the bytes where they start and end: each ragged [B, (T)].
Tokens = tuple[tf.RaggedTensor, ...]


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that stays whole in a text, and the rules for finding it.

    Attributes:
        content: the token's text, a piece of the vocabulary.
        normalized: whether to search for it in the normalized text, so `[E1]` matches `[e1]` if text is lower-cased.
            Otherwise, the original text is searched.
        single_word: whether it matches only where no letter, mark or digit is next to it.
        special: whether `detokenize` may omit it.

    Source: Hugging Face tokenizers, `AddedToken`. Its `lstrip` and `rstrip`, which include the white space next to a
    token, do not change ids.

    Example:
        >>> AddedToken("<e1>", normalized=False)
        AddedToken(content='<e1>', normalized=False, single_word=False, special=False)
    """

    content: str
    normalized: bool = True
    single_word: bool = False
    special: bool = False

    @classmethod
    def as_special(cls, content: str) -> "AddedToken":
        """Creates a special token, e.g. `[MASK]`, which is searched for in the original text."""
        return cls(content, normalized=False, special=True)

    def __post_init__(self) -> None:
        if not isinstance(self.content, str) or not self.content.strip():
            raise ValueError(f"An added token's `content` must be its text. Received: content={self.content!r}.")
        for name in ("normalized", "single_word", "special"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"An added token's `{name}` must be True or False. Received: {name}={getattr(self, name)!r} "
                    f"of {self.content!r}."
                )


def as_added_tokens(tokens: Iterable["AddedToken | Mapping[str, Any]"]) -> tuple[AddedToken, ...]:
    """Returns the tokens, with dictionaries of their attributes (as in JSON) turned into tokens.

    Raises:
        ValueError: an element is of another type, an attribute is unknown or of a wrong type, or a token is repeated.
    """
    if isinstance(tokens, (str, Mapping)) or not isinstance(tokens, Iterable):
        raise ValueError(f"`added_tokens` must be a sequence of `AddedToken`. Received: {tokens!r}.")
    made: dict[str, AddedToken] = {}
    for token in tokens:
        if isinstance(token, Mapping):
            try:
                token = AddedToken(**token)
            except TypeError as error:
                raise ValueError(
                    f"An added token has `content`, `normalized`, `single_word` and `special`. Received: {token!r}."
                ) from error
        if not isinstance(token, AddedToken):
            raise ValueError(f"`added_tokens` must be a sequence of `AddedToken`. Received: {token!r} among them.")
        if token.content in made:
            raise ValueError(f"`added_tokens` must name each token once. Received: {token.content!r} twice.")
        made[token.content] = token
    return tuple(made.values())


class TokenCutter(tf.Module):
    """Splits texts at given strings, in the TensorFlow graph. Of several matches, the leftmost and then the longest
    counts.

    Args:
        ids: string to search for -> token id.
        single_words: the strings that match only where no word character is next to them.
        ideographs_touch: whether a CJK ideograph counts as such a character.
    """

    def __init__(self, ids: Mapping[str, int], single_words: Iterable[str], ideographs_touch: bool) -> None:
        super().__init__()
        self._has_tokens = bool(ids)
        if not ids:
            return
        self._pattern = _any_of(ids)
        self._single_words = _any_of(single_words)
        self._word_characters = _word_characters(ideographs_touch) if self._single_words else ""
        with tf.init_scope():
            hashes = _hashes(tf.constant(list(ids)))
            if len(set(hashes.numpy().tolist())) < len(ids):
                raise ValueError(
                    f"Added tokens must have different hashes. Received: {len(ids)} tokens, two of which share one. "
                    "Rename one of the tokens that were added last."
                )
            order = tf.argsort(hashes)
            self._hashes = tf.gather(hashes, order)
            self._ids = tf.gather(tf.constant(list(ids.values()), tf.int32), order)

    def tokenize_around(self, texts: tf.Tensor, tokenize: Callable[[tf.Tensor], Tokens]) -> Tokens:
        """Tokenizes texts, strings [B], and keeps the given tokens whole.

        Args:
            texts: string [B].
            tokenize: a function that tokenizes any number of texts and returns ids int32, optionally with starts and
                ends int64.
        """
        if not self._has_tokens:
            return tokenize(texts)
        parts = self._cut(texts)
        ids, *places = tokenize(parts.texts.values)
        rows = [_with_tokens(parts, parts.ids, ids)]
        if places:
            before = tf.gather(parts.starts, row_numbers(ids))  # [pieces in all]
            for of_tokens, place in zip((parts.starts, parts.ends), places, strict=True):
                rows.append(_with_tokens(parts, of_tokens, place.with_values(place.values + before)))
        return tuple(rows)

    def _cut(self, texts: tf.Tensor) -> "_Parts":
        """The texts in parts, each a token or the text between tokens. Texts without a token cost only the search."""
        uncut = tf.RaggedTensor.from_row_splits(texts, tf.range(tf.size(texts, tf.int64) + 1), validate=False)
        parts, starts, is_token = tf.cond(
            tf.reduce_any(tf.strings.regex_full_match(texts, rf"\C*{self._pattern}\C*")),
            lambda: self._cut_at_tokens(texts),
            lambda: (uncut, tf.zeros_like(texts, tf.int64), tf.zeros_like(texts, tf.bool)),
        )
        return _Parts(
            texts=parts.with_values(tf.where(is_token, "", parts.values)),
            ids=tf.where(is_token, self._ids_of(parts.values), -1),
            starts=starts,
            ends=starts + tf.cast(tf.strings.length(parts.values), tf.int64),
        )

    def _ids_of(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the ids of strings that are tokens, and arbitrary ids for others.

        Uses no lookup table, because a graph would have to initialize it.
        """
        place = tf.searchsorted(self._hashes, _hashes(tokens))
        return tf.gather(self._ids, tf.minimum(place, tf.size(self._ids) - 1))

    def _cut_at_tokens(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
        """Returns the parts, ragged [B, (P)], and for each part its start in the text and whether it is a token."""
        parts, starts, _ = tf_text.regex_split_with_offsets(texts, self._pattern, self._pattern)
        is_token = tf.strings.regex_full_match(parts.values, self._pattern)
        if not self._single_words:
            return parts, starts.values, is_token
        # A single word next to a word character is ordinary text, so it is joined with the parts next to it again.
        rows = row_numbers(parts)
        same_row = rows[1:] == rows[:-1]  # [parts - 1]
        touched_before = same_row & tf.strings.regex_full_match(parts.values[:-1], rf"\C*[{self._word_characters}]")
        touched_after = same_row & tf.strings.regex_full_match(parts.values[1:], rf"[{self._word_characters}]\C*")
        touched = tf.concat([[False], touched_before], axis=0) | tf.concat([touched_after, [False]], axis=0)
        touched = touched[: tf.size(rows)]  # empty if there are no parts
        is_token &= ~(touched & tf.strings.regex_full_match(parts.values, self._single_words))
        continues = tf.concat([[False], same_row & ~is_token[1:] & ~is_token[:-1]], axis=0)[: tf.size(rows)]
        begins = ~continues
        group = tf.cumsum(tf.cast(begins, tf.int64)) - 1
        joined = tf.strings.unsorted_segment_join(parts.values, group, tf.reduce_sum(tf.cast(begins, tf.int64)))
        row_splits = tf.searchsorted(tf.boolean_mask(rows, begins), tf.range(parts.nrows() + 1))
        row_splits = tf.cast(row_splits, tf.int64)
        return (
            tf.RaggedTensor.from_row_splits(joined, row_splits, validate=False),
            tf.boolean_mask(starts.values, begins),
            tf.boolean_mask(is_token, begins),
        )


def _any_of(texts: Iterable[str]) -> str:
    """A pattern for any of the texts. RE2 takes the first alternative that matches, so the longest come first."""
    longest_first = sorted(texts, key=lambda text: len(text.encode()), reverse=True)
    return f"({'|'.join(map(re.escape, longest_first))})" if longest_first else ""


def _hashes(texts: tf.Tensor) -> tf.Tensor:
    """String [N] -> int64 [N]. With 2**63 numbers, collisions are very unlikely."""
    return tf.strings.to_hash_bucket_fast(texts, num_buckets=2**63 - 1)


class _Parts(NamedTuple):
    """Texts that are split into parts.

    Attributes:
        texts: ragged strings [B, (P)], where tokens are replaced by empty strings.
        ids: int32 [parts in all], -1 for a part that is not a token.
        starts: byte of the text where each part starts, int64 [parts in all].
        ends: byte of the text where each part ends, int64 [parts in all].
    """

    texts: tf.RaggedTensor
    ids: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


def _with_tokens(parts: _Parts, of_tokens: tf.Tensor, of_pieces: tf.RaggedTensor) -> tf.RaggedTensor:
    """The token's value for each part that is a token, and the pieces' values for the others, in order: [B, (T)]."""
    is_token = parts.ids >= 0
    tokens = tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(of_tokens, is_token), tf.cast(is_token, tf.int64), validate=False
    )
    # [parts in all, (T)]: the text of a token is empty, so one of the two is always empty
    both = tf.concat([tokens, of_pieces], axis=1)
    return parts.texts.with_values(both).merge_dims(1, 2)


@functools.cache
def _word_characters(ideographs: bool) -> str:
    """Returns the word characters, as the inside of a character class."""
    chars = filter(rules.is_word_character, rules.characters())
    if not ideographs:
        return rules.regex_class(char for char in chars if not rules.is_cjk(char))
    return rules.regex_class(chars) + r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{20000}-\x{323AF}"
