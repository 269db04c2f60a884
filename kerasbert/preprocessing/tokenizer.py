"""Splits text into word pieces and gives their ids, in the TensorFlow graph.

Normalizes (see normalization.py), splits at white space and punctuation, then takes the longest pieces of the
vocabulary from the left of each word (tf-text's linear-time op). Does not add `[CLS]` and `[SEP]`: see packing.py.

Shapes: B batch, T word pieces (differs by row), V vocabulary.
"""

from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import character_rules
from kerasbert.preprocessing.character_tables import PUNCTUATION_ESCAPES, SPECIAL_TOKEN_ESCAPES, UNREACHABLE
from kerasbert.preprocessing.normalization import NORMALIZATIONS, TextNormalizer
from kerasbert.preprocessing.ragged_rows import join_rows, row_numbers
from kerasbert.preprocessing.vocabulary import PAD, SUFFIX_MARK, Vocabulary


class WordPieceTokenizer(tf.Module):
    """Text -> word-piece ids, inside `tf.data`, a `tf.function` or a SavedModel, which then holds the vocabulary.

    Args:
        vocabulary: the word pieces.
        lower_case: whether text is lower-cased; False for a cased vocabulary.
        strip_accents: whether accents are dropped; None does as `lower_case`.
        split_cjk: whether each CJK character is a word of its own.
        keep_special_tokens: whether `[MASK]` and the like, written in a text, are the special tokens rather than
            punctuation around a word. Leave it off for text of strangers.
        normalization: `"google"` follows google-research/bert's tokenization.py to the letter, with Unicode 13.0;
            `"tf_text"` follows tensorflow-text's BertTokenizer, for checkpoints that were trained with it.
        max_word_length: a longer word becomes `[UNK]`. None is what the normalization's original has: 200
            characters for `"google"`, 100 bytes for `"tf_text"`.

    Raises:
        ValueError: an argument is not as above.

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
        self.normalizer = TextNormalizer(
            normalization, lower_case, self.strip_accents, split_cjk, keep_special_tokens, max_word_length
        )
        with tf.init_scope():
            self._pieces = tf.constant(vocabulary.pieces)
            self._word_pieces = self._word_piece_op()

    def _word_piece_op(self) -> tf_text.FastWordpieceTokenizer:
        """tf-text's op with the pieces as normalized text writes them."""
        google = self.normalization == "google"
        pieces = [
            _as_normalized(piece, index, google, self.keep_special_tokens)
            for index, piece in enumerate(self.vocabulary.pieces)
        ]
        try:
            return tf_text.FastWordpieceTokenizer(
                pieces,
                # A character has at most 4 bytes; the normalizer has seen to words of more characters.
                max_bytes_per_word=4 * self.max_word_length if google else self.max_word_length,
                token_out_type=tf.int32,
                unknown_token=pieces[self.vocabulary.unk_id],
                # The op splits CJK characters always: words that hold some reach it one by one.
                no_pretokenization=not self.split_cjk,
            )
        except RuntimeError as error:
            raise BadInputError(
                f"The vocabulary must suit tensorflow-text's word-piece op. Received: {self.vocabulary!r}: {error}"
            ) from error

    def get_config(self) -> dict[str, Any]:
        """The arguments besides the vocabulary, as JSON can hold them."""
        return {
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "split_cjk": self.split_cjk,
            "keep_special_tokens": self.keep_special_tokens,
            "normalization": self.normalization,
            "max_word_length": self.max_word_length,
        }

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        """String [B] -> ids, ragged int32 [B, (T)]. An empty text gives an empty row."""
        normalized = self.normalizer.normalize(_batch_of_texts(texts))
        if self.split_cjk:
            return self._word_pieces.tokenize(normalized)
        words, _ = self.normalizer.split(normalized)
        return self._word_pieces.tokenize(words).merge_dims(1, 2)

    def tokenize_with_offsets(self, texts: Any) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """String [B] -> ids, starts, ends: ragged [B, (T)], int32, int64, int64.

        A piece comes from the bytes `start` to `end` (exclusive) of the original text, whole characters. Characters
        that normalization drops, such as accents, count to the one before them.
        """
        normalized, origins = self.normalizer.normalize_with_offsets(_batch_of_texts(texts))
        ids, starts, ends = self._pieces_with_offsets(normalized)
        rows = row_numbers(ids)  # [pieces in all]
        row_starts = tf.gather(origins.row_starts(), rows)
        original_starts = tf.gather(origins.values, row_starts + starts)
        original_ends = tf.gather(_next_larger(origins.values), row_starts + ends - 1)
        return ids, ids.with_values(original_starts), ids.with_values(original_ends)

    def _pieces_with_offsets(self, normalized: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
        """Ids, ragged [B, (T)], and the bytes of the normalized text where they start and end: [pieces in all]."""
        if self.split_cjk:
            ids, starts, ends = self._word_pieces.tokenize_with_offsets(normalized)
            return ids, starts.values, ends.values
        words, word_starts = self.normalizer.split(normalized)
        ids, starts, ends = self._word_pieces.tokenize_with_offsets(words)
        begin = tf.gather(word_starts.values, row_numbers(ids.values))
        return ids.merge_dims(1, 2), begin + starts.flat_values, begin + ends.flat_values

    def detokenize(self, ids: Any, skip_special_tokens: bool = False) -> tf.Tensor:
        """Ids [B, (T)], ragged, dense or lists -> string [B]: pieces joined by spaces, `##` pieces to the one before.

        What normalization dropped does not come back.
        """
        if isinstance(ids, (list, tuple)):
            ids = tf.ragged.constant(ids, dtype=tf.int32, ragged_rank=1)
        elif not isinstance(ids, tf.RaggedTensor):
            ids = tf.RaggedTensor.from_tensor(ids)
        if skip_special_tokens:
            special = tf.reduce_any(ids.values[:, None] == tf.constant(self.vocabulary.special_ids, ids.dtype), axis=-1)
            ids = tf.ragged.boolean_mask(ids, ids.with_values(~special))
        joined = join_rows(self.pieces(ids), separator=" ")
        return tf.strings.regex_replace(joined, f" {SUFFIX_MARK}", "")

    def pieces(self, ids: Any) -> Any:
        """Ids, ragged or dense -> the pieces' text, of the same shape."""
        return tf.gather(self._pieces, ids)

    def words(self, texts: Any) -> tf.RaggedTensor:
        """String [B] -> the words as normalized, before they are split into pieces: ragged strings [B, (words)]."""
        words, _ = self.normalizer.split(self.normalizer.normalize(_batch_of_texts(texts)))
        return words


def _as_normalized(piece: str, index: int, google: bool, keep_special_tokens: bool) -> str:
    """The piece as normalized text writes it, see character_tables.py; the op must be able to find no other."""
    if keep_special_tokens and piece in SPECIAL_TOKEN_ESCAPES:
        return SPECIAL_TOKEN_ESCAPES[piece]
    if piece == PAD or any(_ends_or_leaves_words(char, google) for char in piece):
        # Such a piece is never found, and the op would be misled by one with a space in it: a dropped character and the
        # id stand for it. `[PAD]` is among them so that the op has a piece even if the vocabulary holds no word.
        return f"{UNREACHABLE}{index}"
    return piece.translate(PUNCTUATION_ESCAPES) if google else piece


def _ends_or_leaves_words(char: str, google: bool) -> bool:
    """Whether no word of a normalized text can hold the character."""
    dropped = character_rules.is_dropped(char) and (google or char != "\ufffd")
    return dropped or char.isspace() or character_rules.is_space(char)


def _batch_of_texts(texts: Any) -> tf.Tensor:
    """The texts as a string tensor of rank 1; a fed tensor of another rank fails here, before tf-text's ops see it."""
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
    """For each place the next value to its right that differs: where the original character of that byte ends.

    `origins` holds, row after row, each normalized byte's place in the original, which never falls within a row and
    ends with the row's length. So the next value that differs is the next character's place; asked for a byte, never
    for a row's end, the answer stays in the row.
    """
    starts_run = tf.concat([[True], origins[1:] != origins[:-1]], axis=0)[: tf.size(origins)]
    run = tf.cumsum(tf.cast(starts_run, tf.int64))  # number of the run of equal values, from 1
    values = tf.concat([tf.boolean_mask(origins, starts_run), [0]], axis=0)
    return tf.gather(values, tf.minimum(run, tf.size(values, tf.int64) - 1))
