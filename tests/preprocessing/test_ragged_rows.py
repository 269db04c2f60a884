"""Rows of a ragged tensor: numbered and joined as TensorFlow does it, in memory that grows with the values only."""

import resource

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.preprocessing.ragged_rows import join_rows, row_numbers


@pytest.mark.parametrize("splits", [tf.int32, tf.int64])
@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 3, 0, 1, 0], [5]])
def test_as_tensorflow_does_it(lengths, splits):
    values = np.random.default_rng(0).integers(0, 99, sum(lengths)).astype(str)
    rows = tf.RaggedTensor.from_row_lengths(tf.constant(values, tf.string), tf.constant(lengths, splits))
    assert row_numbers(rows).dtype == tf.int64
    assert row_numbers(rows).numpy().tolist() == rows.value_rowids().numpy().tolist()
    expected = [b"-".join(row) for row in rows.to_list()]
    assert join_rows(rows, "-").numpy().tolist() == expected


@pytest.mark.parametrize("split_cjk", [True, False])
def test_memory_for_short_texts_and_a_long_one_grows_with_their_tokens(split_cjk):
    """The capital sigma triggers the rules that look at neighbours."""
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "σ", "##ς"])
    tokenizer = WordPieceTokenizer(vocabulary, split_cjk=split_cjk)
    to_inputs = TextToInputs(tokenizer, sequence_length=16)
    texts = ["wΣ w"] * 5_000 + ["Σ " + "w " * 150_000]
    to_inputs(texts[:2])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inputs = to_inputs(texts)
    ids, starts, _ = tokenizer.tokenize_with_offsets(texts)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert inputs["token_ids"][0].numpy()[:6].tolist() == [2, 5, 7, 5, 3, 0]
    assert ids[-1].shape[0] == starts[-1].shape[0] == 150_001
    assert grown < 1024**2  # 5,001 rows times 150,001 words would take 0.75 GB at one byte each, 6 GB at eight
