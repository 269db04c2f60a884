"""Splits text into word pieces and gives their ids, in the TensorFlow graph.

Normalizes (see normalization.py), splits at white space and punctuation, then takes the longest pieces of the
vocabulary from the left of each word (tf-text's linear-time op). Does not add `[CLS]` and `[SEP]`: see packing.py.

Shapes: B batch, T word pieces (differs by row), V vocabulary.
"""

from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.errors import BadInputError
from kerasbert.preprocessing.normalization import NORMALIZATIONS, TfTextNormalizer
from kerasbert.preprocessing.vocabulary import SUFFIX_MARK, UNK, Vocabulary


class WordPieceTokenizer(tf.Module):
    """Text -> word-piece ids, inside `tf.data`, a `tf.function` or a SavedModel, which then holds the vocabulary.

    Args:
        vocabulary: the word pieces.
        lower_case: whether text is lower-cased; False for a cased vocabulary.
        strip_accents: whether accents are dropped; None does as `lower_case`.
        split_cjk: whether each CJK character is a word of its own.
        normalization: `"tf_text"`, tensorflow-text's rules.

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
        normalization: str = "tf_text",
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"`normalization` must be one of {', '.join(NORMALIZATIONS)}. "
                f"Received: normalization={normalization!r}."
            )
        self.vocabulary = vocabulary
        self.lower_case = lower_case
        self.strip_accents = lower_case if strip_accents is None else strip_accents
        self.split_cjk = split_cjk
        self.normalization = normalization
        self.normalizer = TfTextNormalizer(lower_case, split_cjk)
        with tf.init_scope():
            self._pieces = tf.constant(vocabulary.pieces)
            try:
                self._word_pieces = tf_text.FastWordpieceTokenizer(
                    list(vocabulary.pieces), max_bytes_per_word=100, token_out_type=tf.int32, unknown_token=UNK
                )
            except RuntimeError as error:
                raise BadInputError(
                    "The vocabulary must hold word pieces beside the special tokens. "
                    f"Received: {vocabulary!r}. Learn one from text."
                ) from error

    def get_config(self) -> dict[str, Any]:
        """The arguments besides the vocabulary, as JSON can hold them."""
        return {
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "split_cjk": self.split_cjk,
            "normalization": self.normalization,
        }

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        """String [B] -> ids, ragged int32 [B, (T)]. An empty text gives an empty row."""
        return self._word_pieces.tokenize(self.normalizer.normalize(_batch_of_texts(texts)))

    def tokenize_with_offsets(self, texts: Any) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """String [B] -> ids, starts, ends: ragged [B, (T)], int32, int64, int64.

        A piece comes from the bytes `start` to `end` (exclusive) of the original text, whole characters. Characters
        that normalization drops, such as accents, count to the one before them.
        """
        normalized, origins = self.normalizer.normalize_with_offsets(_batch_of_texts(texts))
        ids, starts, ends = self._word_pieces.tokenize_with_offsets(normalized)
        row_starts = origins.row_starts()  # [B]
        rows = ids.value_rowids()  # [pieces in all]
        first = tf.gather(row_starts, rows) + starts.values
        last = tf.gather(row_starts, rows) + ends.values - 1
        original_starts = tf.gather(origins.values, first)
        original_ends = tf.gather(_next_larger(origins.values), last)
        return ids, ids.with_values(original_starts), ids.with_values(original_ends)

    def detokenize(self, ids: Any, skip_special_tokens: bool = False) -> tf.Tensor:
        """Ids [B, (T)], ragged or dense -> string [B]: pieces joined by spaces, `##` pieces to the one before.

        What normalization dropped does not come back.
        """
        ids = tf.RaggedTensor.from_tensor(ids) if not isinstance(ids, tf.RaggedTensor) else ids
        if skip_special_tokens:
            special = tf.reduce_any(ids.values[:, None] == tf.constant(self.vocabulary.special_ids, ids.dtype), axis=-1)
            ids = tf.ragged.boolean_mask(ids, ids.with_values(~special))
        joined = tf.strings.reduce_join(self.pieces(ids), axis=-1, separator=" ")
        return tf.strings.regex_replace(joined, f" {SUFFIX_MARK}", "")

    def pieces(self, ids: Any) -> Any:
        """Ids, ragged or dense -> the pieces' text, of the same shape."""
        return tf.gather(self._pieces, ids)

    def words(self, texts: Any) -> tf.RaggedTensor:
        """String [B] -> the normalized words before they are split into pieces: ragged strings [B, (words)]."""
        return self.normalizer.words(_batch_of_texts(texts))


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
