"""Splits text into word pieces and returns their ids, in the TensorFlow graph.

The tokenizer separates tokens that stay whole (see added_tokens.py), normalizes (see normalization.py), splits at white
space and punctuation, and then takes the longest pieces of the vocabulary from left to right in each word (tf-text's
linear-time op). `[CLS]` and `[SEP]` are added later: see packing.py.

Shapes: B batch, T word pieces (differs by row), V vocabulary.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import character_rules
from kerasbert.preprocessing.added_tokens import AddedToken, TokenCutter, Tokens, as_added_tokens
from kerasbert.preprocessing.character_tables import PUNCTUATION_ESCAPES, UNREACHABLE
from kerasbert.preprocessing.normalization import NORMALIZATIONS, shared_normalizer
from kerasbert.preprocessing.ragged_rows import join_rows, row_numbers
from kerasbert.preprocessing.vocabulary import PAD, SPECIAL_TOKENS, SUFFIX_MARK, Vocabulary


class WordPieceTokenizer(tf.Module):
    """Turns text into word-piece ids, in `tf.data`, a `tf.function` or a SavedModel that contains the vocabulary.

    Args:
        vocabulary: the word pieces.
        lower_case: whether text is lower-cased. Use False for a cased vocabulary.
        strip_accents: whether accents are dropped. None means the value of `lower_case`.
        split_cjk: whether each CJK character is a separate word.
        keep_special_tokens: whether `[MASK]` and the other special tokens are recognized in a text. Use False for text
            from untrusted users.
        normalization: `"google"` follows google-research/bert's tokenization.py exactly, with Unicode 13.0;
            `"tf_text"` follows tensorflow-text's BertTokenizer, for checkpoints that were trained with it.
        max_word_length: a longer word becomes `[UNK]`. None means the limit of the original: 200 characters for
            `"google"`, 100 bytes for `"tf_text"`.
        added_tokens: pieces that stay whole in a text, e.g. `<e1>`, as `AddedToken`s or dictionaries of their
            attributes.

    Raises:
        ValueError: an argument is outside what is described above.
        BadInputError: an added token is not a piece of the vocabulary.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "!"])
        >>> tokenizer = WordPieceTokenizer(vocabulary)
        >>> ids = tokenizer.tokenize(["Playing!", "xyz play"])
        >>> ids.to_list()
        [[5, 6, 7], [1, 5]]
        >>> tokenizer.detokenize(ids).numpy().tolist()
        [b'playing !', b'[UNK] play']
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        lower_case: bool = True,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
        keep_special_tokens: bool = False,
        normalization: str = "google",
        max_word_length: int | None = None,
        added_tokens: Iterable[AddedToken | Mapping[str, Any]] = (),
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"`normalization` must be one of {', '.join(NORMALIZATIONS)}. "
                f"Received: normalization={normalization!r}."
            )
        if max_word_length is None:
            max_word_length = 200 if normalization == "google" else 100
        if isinstance(max_word_length, bool) or not isinstance(max_word_length, int) or max_word_length < 1:
            raise ValueError(
                f"`max_word_length` must be a positive integer. Received: max_word_length={max_word_length!r}."
            )
        self.vocabulary = vocabulary
        self.lower_case = lower_case
        self.strip_accents = lower_case if strip_accents is None else strip_accents
        self.split_cjk = split_cjk
        self.keep_special_tokens = keep_special_tokens
        self.normalization = normalization
        self.max_word_length = max_word_length
        self.added_tokens = as_added_tokens(added_tokens)
        unknown = [token.content for token in self.added_tokens if token.content not in vocabulary]
        if unknown:
            raise BadInputError(
                f"Added tokens must be pieces of the vocabulary. Received: {', '.join(map(repr, unknown[:5]))}, which "
                f"{vocabulary!r} lacks. Add each as a separate piece."
            )
        self.normalizer = shared_normalizer(normalization, lower_case, self.strip_accents, split_cjk, max_word_length)
        whole = {token.content: token for token in self.added_tokens}
        if keep_special_tokens:
            whole |= {token: AddedToken.as_special(token) for token in SPECIAL_TOKENS}
        self._as_written, self._as_normalized = self._cutters(tuple(whole.values()))
        with tf.init_scope():
            self._pieces = tf.constant(vocabulary.pieces)
            self._word_pieces = self._word_piece_op(whole)

    def _cutters(self, tokens: tuple[AddedToken, ...]) -> tuple[TokenCutter, TokenCutter]:
        """Returns the token cutters for original texts and for normalized texts."""
        written = [token for token in tokens if not token.normalized]
        normalized: dict[str, AddedToken] = {}
        contents = [token.content for token in tokens if token.normalized]
        with tf.init_scope():
            texts = self.normalizer.normalize(tf.constant(contents, tf.string, [len(contents)])).numpy()
        for text, token in zip(texts, (token for token in tokens if token.normalized), strict=True):
            # A token that is empty after normalization is never found. If two tokens are equal after normalization, the
            # first is found.
            if text.strip():
                normalized.setdefault(text.decode(), token)
        return (
            TokenCutter(
                {token.content: self.vocabulary.id_of(token.content) for token in written},
                [token.content for token in written if token.single_word],
                ideographs_touch=True,
            ),
            TokenCutter(
                {text: self.vocabulary.id_of(token.content) for text, token in normalized.items()},
                [text for text, token in normalized.items() if token.single_word],
                ideographs_touch=not self.split_cjk,
            ),
        )

    def _word_piece_op(self, whole: Iterable[str]) -> tf_text.FastWordpieceTokenizer:
        """Returns tf-text's op with the normalized forms of all pieces except added tokens."""
        google, whole = self.normalization == "google", set(whole)
        pieces = [
            f"{UNREACHABLE}{index}" if piece in whole else _as_normalized(piece, index, google)
            for index, piece in enumerate(self.vocabulary.matched_pieces)
        ]
        try:
            return tf_text.FastWordpieceTokenizer(
                pieces,
                # A character has at most 4 bytes. The normalizer handles words of more characters.
                max_bytes_per_word=4 * self.max_word_length if google else self.max_word_length,
                token_out_type=tf.int32,
                unknown_token=pieces[self.vocabulary.unk_id],
                # The op always splits CJK characters, so words that contain some are passed to it one by one.
                no_pretokenization=not self.split_cjk,
            )
        except RuntimeError as error:
            raise BadInputError(
                f"The vocabulary must fit tensorflow-text's word-piece op. Received: {self.vocabulary!r}: {error}"
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments except the vocabulary, as values for JSON."""
        return {
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "split_cjk": self.split_cjk,
            "keep_special_tokens": self.keep_special_tokens,
            "normalization": self.normalization,
            "max_word_length": self.max_word_length,
            "added_tokens": [dataclasses.asdict(token) for token in self.added_tokens],
        }

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        """Tokenizes texts: string [B] -> ids, ragged int32 [B, (T)]. An empty text has an empty row."""
        (ids,) = self._as_written.tokenize_around(_batch_of_texts(texts), self._written_ids)
        return ids

    def _written_ids(self, texts: tf.Tensor) -> Tokens:
        """Returns the ids of texts that may still contain tokens of the normalized text."""
        return self._as_normalized.tokenize_around(self.normalizer.normalize(texts), self._normalized_ids)

    def _normalized_ids(self, normalized: tf.Tensor) -> Tokens:
        """Returns the ids of normalized texts without added tokens."""
        if self.split_cjk:
            return (self._word_pieces.tokenize(normalized),)
        words, _ = self.normalizer.split(normalized)
        return (self._word_pieces.tokenize(words).merge_dims(1, 2),)

    def tokenize_with_offsets(self, texts: Any) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Tokenizes texts with offsets: string [B] -> ids, starts, ends, ragged [B, (T)], int32, int64, int64.

        A piece comes from the bytes `start` to `end` (exclusive) of the original text, which are whole characters.
        Characters that normalization drops, e.g. accents, belong to the previous character.
        """
        return self._as_written.tokenize_around(_batch_of_texts(texts), self._written_places)

    def _written_places(self, texts: tf.Tensor) -> Tokens:
        """Like `_written_ids`, with the bytes of the texts where the tokens start and end."""
        normalized, origins = self.normalizer.normalize_with_offsets(texts)
        ids, starts, ends = self._as_normalized.tokenize_around(normalized, self._normalized_places)
        row_starts = tf.gather(origins.row_starts(), row_numbers(ids))  # [tokens in all]
        original_starts = tf.gather(origins.values, row_starts + starts.values)
        original_ends = tf.gather(_next_larger(origins.values), row_starts + ends.values - 1)
        return ids, ids.with_values(original_starts), ids.with_values(original_ends)

    def _normalized_places(self, normalized: tf.Tensor) -> Tokens:
        """Like `_normalized_ids`, with the bytes of the normalized texts where the pieces start and end."""
        if self.split_cjk:
            return self._word_pieces.tokenize_with_offsets(normalized)
        words, word_starts = self.normalizer.split(normalized)
        ids, starts, ends = self._word_pieces.tokenize_with_offsets(words)
        begin = tf.gather(word_starts.values, row_numbers(ids.values))
        return tuple(
            places.merge_dims(1, 2)
            for places in (
                ids,
                starts.with_flat_values(begin + starts.flat_values),
                ends.with_flat_values(begin + ends.flat_values),
            )
        )

    def detokenize(self, ids: Any, skip_special_tokens: bool = False) -> tf.Tensor:
        """Joins pieces into texts: ids [B, (T)], ragged, dense or lists -> string [B].

        Pieces are joined by spaces, and `##` pieces to the piece before. Characters that normalization dropped are not
        restored. `skip_special_tokens` omits BERT's special tokens and added tokens that are `special`.
        """
        if isinstance(ids, (list, tuple)):
            ids = tf.ragged.constant(ids, dtype=tf.int32, ragged_rank=1)
        elif not isinstance(ids, tf.RaggedTensor):
            ids = tf.RaggedTensor.from_tensor(ids)
        if skip_special_tokens:
            special_ids = [*self.vocabulary.special_ids]
            special_ids += [self.vocabulary.id_of(token.content) for token in self.added_tokens if token.special]
            special = tf.reduce_any(ids.values[:, None] == tf.constant(special_ids, ids.dtype), axis=-1)
            ids = tf.ragged.boolean_mask(ids, ids.with_values(~special))
        joined = join_rows(self.pieces(ids), separator=" ")
        return tf.strings.regex_replace(joined, f" {SUFFIX_MARK}", "")

    def pieces(self, ids: Any) -> Any:
        """Looks up pieces: ids, ragged or dense -> the text of the pieces, with the same shape."""
        return tf.gather(self._pieces, ids)

    def words(self, texts: Any) -> tf.RaggedTensor:
        """Splits texts into normalized words, before word pieces: string [B] -> ragged strings [B, (words)].

        Added tokens are split like any other text.
        """
        words, _ = self.normalizer.split(self.normalizer.normalize(_batch_of_texts(texts)))
        return words


def _as_normalized(piece: str | None, index: int, google: bool) -> str:
    """Returns the normalized form of the piece (see character_tables.py), or a text that the op never finds."""
    if piece is None or piece == PAD or any(_ends_or_leaves_words(char, google) for char in piece):
        # Such a piece is never found, and a space in it would mislead the op, so it is replaced by a dropped character
        # and its id. `[PAD]` is one of them, so the op has a piece even if the vocabulary contains no word.
        return f"{UNREACHABLE}{index}"
    return piece.translate(PUNCTUATION_ESCAPES) if google else piece


def _ends_or_leaves_words(char: str, google: bool) -> bool:
    """Returns whether no word of a normalized text can contain the character."""
    dropped = character_rules.is_dropped(char) and (google or char != "\ufffd")
    return dropped or char.isspace() or character_rules.is_space(char)


def _batch_of_texts(texts: Any) -> tf.Tensor:
    """Returns the texts as a string tensor of rank 1. A tensor of another rank fails here, before tf-text's ops."""
    try:
        texts = tf.convert_to_tensor(texts, dtype=tf.string)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`texts` must be a batch of strings of shape [batch]. Received: {texts!r}.") from error
    if texts.shape.rank not in (1, None):
        raise ValueError(
            f"`texts` must be a batch of strings of shape [batch]. Received: shape {texts.shape}. "
            "Wrap one text as [text]; flatten a nested batch."
        )
    return tf.ensure_shape(texts, [None])


def _next_larger(origins: tf.Tensor) -> tf.Tensor:
    """For each position, returns the next different value to its right: where the original character of that byte ends.

    `origins` contains, row by row, each normalized byte's position in the original. The positions of a row never
    decrease and end with the row's length. So the next different value is the next character's position, which for a
    byte is always in the same row.
    """
    starts_run = tf.concat([[True], origins[1:] != origins[:-1]], axis=0)[: tf.size(origins)]
    run = tf.cumsum(tf.cast(starts_run, tf.int64))  # number of the run of equal values, from 1
    values = tf.concat([tf.boolean_mask(origins, starts_run), [0]], axis=0)
    return tf.gather(values, tf.minimum(run, tf.size(values, tf.int64) - 1))
