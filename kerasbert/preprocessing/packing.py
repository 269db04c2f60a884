"""Packs one or two token segments into `[CLS] first [SEP] second [SEP]`, truncated to a length.

Splitting text: see tokenizer.py. Padding: see text_to_inputs.py. Only core TensorFlow ops are used, because TF Serving
before 2.20 lacks tf-text's trimmers.

Shapes: B batch, T tokens of a packed row (differs by row).
"""

import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.preprocessing.vocabulary import Vocabulary

TRUNCATIONS = ("longest_first", "only_first", "only_second")


class SegmentPacker(tf.Module):
    """Joins token segments with `[CLS]` and `[SEP]`, and truncates them to fit into a row.

    Args:
        vocabulary: has the ids of `[CLS]` and `[SEP]`.
        sequence_length: maximum number of tokens of a packed row, including special tokens. At least 3.
        truncation: which segment loses its last tokens if a pair is too long. `"longest_first"` is
            google-research/bert's rule (`truncate_seq_pair`): one token at a time from the longer segment, from the
            second if both are equally long. `"only_first"` and `"only_second"` shorten that segment only; if the other
            one alone is too long, it is truncated too. A single segment is truncated at its end.
        pair_segments: whether the second segment of a pair has the segment id 1, as in BERT. With False, all segment
            ids are 0, as with Hugging Face's tokenizers that make no `token_type_ids`.

    Raises:
        ValueError: an argument is outside what is described above.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
        >>> packer = SegmentPacker(vocabulary, sequence_length=6)
        >>> tokens, segments = packer(tf.ragged.constant([[5, 5, 5]]), tf.ragged.constant([[6]]))
        >>> tokens.to_list(), segments.to_list()
        ([[2, 5, 5, 3, 6, 3]], [[0, 0, 0, 0, 1, 1]])
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        sequence_length: int,
        truncation: str = "longest_first",
        pair_segments: bool = True,
    ) -> None:
        super().__init__()
        if isinstance(sequence_length, bool) or not isinstance(sequence_length, int) or sequence_length < 3:
            raise ValueError(
                "`sequence_length` must be an integer of at least 3, for [CLS] and two [SEP]. "
                f"Received: sequence_length={sequence_length!r}."
            )
        if truncation not in TRUNCATIONS:
            raise ValueError(
                f"`truncation` must be one of {', '.join(TRUNCATIONS)}. Received: truncation={truncation!r}."
            )
        if not isinstance(pair_segments, bool):
            raise ValueError(
                f"`pair_segments` must be True or False. Received: pair_segments={pair_segments!r}. Use True for BERT."
            )
        self.vocabulary = vocabulary
        self.sequence_length = sequence_length
        self.truncation = truncation
        self.pair_segments = pair_segments

    def __call__(self, first: tf.RaggedTensor, second: tf.RaggedTensor | None = None) -> tuple:
        """Packs a batch.

        Args:
            first: token ids, ragged integers [B, (tokens)].
            second: the second segment of each row, like `first`, or None.

        Returns:
            token_ids and segment_ids (0 up to the first `[SEP]`, `pair_segments` after it), ragged int32 [B, (T)].

        Raises:
            BadInputError: the segments differ in their numbers of rows. If the numbers are only known when a graph
                runs, it raises `tf.errors.InvalidArgumentError`.
        """
        first = _int32(first)
        if second is None:
            kept = tf.minimum(first.row_lengths(), self.sequence_length - 2)
            return self._join([(first, kept)])
        first, second = _of_equal_rows(first, _int32(second))
        kept_first, kept_second = self._kept_lengths(first.row_lengths(), second.row_lengths())
        return self._join([(first, kept_first), (second, kept_second)])

    def _kept_lengths(self, first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the number of tokens that are kept of each segment: two int64 [B] for two int64 [B]."""
        room = tf.constant(self.sequence_length - 3, first.dtype)
        if self.truncation == "only_first":
            kept_second = tf.minimum(second, room)
        elif self.truncation == "only_second":
            kept_second = tf.minimum(second, room - tf.minimum(first, room))
        else:
            # Dropping one token at a time from the longer segment leaves halves, with the odd token in the first
            # segment, unless one segment is shorter than its half. Then the other segment gets the rest.
            kept_second = tf.minimum(second, tf.maximum(room // 2, room - first))
        return tf.minimum(first, room - kept_second), kept_second

    def _join(self, segments: list[tuple[tf.RaggedTensor, tf.Tensor]]) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """[CLS], then the first `kept` tokens of each segment followed by [SEP]."""
        lengths = tf.add_n([kept + 1 for _, kept in segments]) + 1  # [B]
        splits = tf.concat([tf.zeros([1], lengths.dtype), tf.cumsum(lengths)], axis=0)
        rows = tf.repeat(tf.range(tf.size(lengths, lengths.dtype)), lengths)  # [tokens in all]
        positions = tf.range(splits[-1]) - tf.gather(splits, rows)  # place in its own row
        tokens = tf.fill(tf.shape(positions), self.vocabulary.cls_id)
        segment_ids = tf.zeros_like(tokens)
        start = tf.ones_like(lengths)  # [B], where the segment's tokens begin in the packed row
        for index, (segment, kept) in enumerate(segments):
            end = start + kept
            within = positions - tf.gather(start, rows)
            inside = (within >= 0) & (positions < tf.gather(end, rows))
            # Positions outside are read from index 0, so the gather never leaves the tensor. The appended token keeps
            # it valid for a batch without any tokens.
            source = tf.where(inside, tf.gather(segment.row_starts(), rows) + within, 0)
            tokens = tf.where(inside, tf.gather(tf.concat([segment.values, [0]], axis=0), source), tokens)
            tokens = tf.where(positions == tf.gather(end, rows), self.vocabulary.sep_id, tokens)
            segment_ids = tf.where(within >= 0, index * self.pair_segments, segment_ids)
            start = end + 1
        return tuple(
            tf.RaggedTensor.from_row_splits(values, splits, validate=False) for values in (tokens, segment_ids)
        )


def _of_equal_rows(first: tf.RaggedTensor, second: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Returns the segments after checking that they have the same number of rows."""
    rule = "The two segments of pairs must come in batches of the same length."
    remedy = "Pass one second text for each first one, an empty string if it has none."
    known = first.shape[0], second.shape[0]
    if None not in known:
        if known[0] != known[1]:
            raise BadInputError(f"{rule} Received: {known[0]} first and {known[1]} second segments. {remedy}")
        return first, second
    rows = tf.size(first.row_lengths()), tf.size(second.row_lengths())
    received = [f"{rule} Received, first and second segments:", *rows, remedy]
    # The gathers must wait for the check, otherwise their error comes first.
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(*rows), received)]):
        return tf.identity(first), tf.identity(second)


def _int32(segment: tf.RaggedTensor) -> tf.RaggedTensor:
    """The segment as ragged int32 with int64 row splits."""
    if not isinstance(segment, tf.RaggedTensor) or segment.shape.rank != 2:
        raise ValueError(
            "A segment must be a ragged tensor of token ids of shape [batch, (tokens)]. "
            f"Received: {segment!r}. Make one with WordPieceTokenizer.tokenize or tf.ragged.constant."
        )
    return tf.cast(segment, tf.int32).with_row_splits_dtype(tf.int64)
