"""Packed rows contain what google-research/bert's truncation keeps, and never exceed the length."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import SegmentPacker, Vocabulary

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"])


def truncated_one_by_one(first, second, room, truncation):
    """The rule as a loop, token by token."""
    first, second = list(first), list(second)
    while len(first) + len(second) > room:
        if truncation == "longest_first":
            victim = first if len(first) > len(second) else second
        elif truncation == "only_first":
            victim = first or second
        else:
            victim = second or first
        victim.pop()
    return first, second


@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("sequence_length", [3, 4, 7, 8, 12])
def test_pairs_equal_the_rule_applied_token_by_token(truncation, sequence_length):
    lengths = [(a, b) for a in range(9) for b in range(9)]
    first = [list(range(5, 5 + a)) for a, _ in lengths]
    second = [list(range(5, 5 + b)) for _, b in lengths]
    packer = SegmentPacker(VOCABULARY, sequence_length, truncation)
    tokens, segments = packer(tf.ragged.constant(first, dtype=tf.int32), tf.ragged.constant(second, dtype=tf.int32))
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        a, b = truncated_one_by_one(a, b, sequence_length - 3, truncation)
        assert tokens[row].numpy().tolist() == [2, *a, 3, *b, 3]
        assert segments[row].numpy().tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)


def test_one_segment_is_cut_at_its_end():
    tokens, segments = SegmentPacker(VOCABULARY, 5)(tf.ragged.constant([[5, 6, 7, 8], [5], []], dtype=tf.int64))
    assert tokens.to_list() == [[2, 5, 6, 7, 3], [2, 5, 3], [2, 3]]
    assert segments.to_list() == [[0] * 5, [0] * 3, [0] * 2]
    assert tokens.dtype == segments.dtype == tf.int32


def test_works_in_a_graph_on_an_empty_batch():
    packer = SegmentPacker(VOCABULARY, 8)
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    packed = tf.function(lambda a, b: packer(a, b), input_signature=[spec, spec])
    empty = tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), tf.zeros([1], tf.int64))
    tokens, segments = packed(empty, empty)
    assert tokens.to_list() == segments.to_list() == []
    tokens, _ = packed(tf.ragged.constant([[5]]), tf.ragged.constant([[6]]))
    assert tokens.to_list() == [[2, 5, 3, 6, 3]]


@pytest.mark.parametrize("bad", [{"sequence_length": 2}, {"sequence_length": 8.0}, {"truncation": "middle"}])
def test_wrong_arguments_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        SegmentPacker(VOCABULARY, **{"sequence_length": 8, **bad})


def test_segments_of_unequal_batches_are_refused_with_both_lengths():
    packer = SegmentPacker(VOCABULARY, 8)
    ragged = {rows: tf.ragged.constant([[5]] * rows, dtype=tf.int32, ragged_rank=1) for rows in (0, 1, 2)}
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    packed = tf.function(lambda a, b: packer(a, b), input_signature=[spec, spec])
    for first, second in [(2, 1), (1, 2), (0, 1), (2, 0)]:
        with pytest.raises(BadInputError, match=f"same length. Received: {first} first and {second} second"):
            packer(ragged[first], ragged[second])
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"same length.* \[{first}\] \[{second}\]"):
            packed(ragged[first], ragged[second])


def test_a_dense_segment_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="tokenize"):
        SegmentPacker(VOCABULARY, 8)(tf.constant(np.ones([2, 3], np.int32)))
