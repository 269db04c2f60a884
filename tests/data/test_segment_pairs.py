"""Segment pairs: right labels, Google's rules, determinism, bounded memory.

In the made-up corpora here a token id is document * 10,000 + place in the document, so that a pair tells where it came
from.
"""

import random
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.data import segment_pairs
from kerasbert.data.pretraining.segment_pairs import _truncated
from kerasbert.data.pretraining.tokenized_documents import TokenizedDocument
from kerasbert.errors import BadInputError


def corpus(num_documents, num_sentences=30, longest=9, seed=0):
    """Documents of sentences, each a string of token ids."""
    rng = random.Random(seed)
    for document in range(num_documents):
        token = document * 10_000
        sentences = []
        for _ in range(num_sentences):
            length = rng.randint(1, longest)
            sentences.append(" ".join(str(token + place) for place in range(length)))
            token += length
        yield sentences


def tokenize(sentences):
    return [[int(token) for token in sentence.split()] for sentence in sentences]


def pairs_of(documents, **arguments):
    return list(segment_pairs(documents, tokenize, **{"max_tokens": 40, "seed": 1, "dupe_factor": 2} | arguments))


def as_lists(pairs):
    return [(pair.first_ids.tolist(), pair.second_ids.tolist(), pair.is_random_next) for pair in pairs]


def is_consecutive(ids):
    return all(later == earlier + 1 for earlier, later in pairwise(ids.tolist()))


@pytest.mark.parametrize("buffer_documents", [2, 7, 1000])
def test_labels_are_right(buffer_documents):
    pairs = pairs_of(corpus(100), buffer_documents=buffer_documents)
    for first, second, is_random in pairs:
        assert is_consecutive(first)
        assert is_consecutive(second)
        assert len(first)
        assert len(second)
        assert len(first) + len(second) <= 40
        is_same_document = first[0] // 10_000 == second[0] // 10_000
        assert is_same_document == (not is_random)
        if not is_random:
            assert second[0] > first[-1]
    # Those that lost no token show that the second segment begins where the first ends.
    whole = [pair for pair in pairs if not pair.is_random_next and len(pair.first_ids) + len(pair.second_ids) < 40]
    assert len(whole) > 5
    assert all(pair.second_ids[0] == pair.first_ids[-1] + 1 for pair in whole)


def test_about_half_are_random_and_partners_come_from_everywhere():
    pairs = pairs_of(corpus(300, num_sentences=200), max_tokens=60)
    share = np.mean([pair.is_random_next for pair in pairs])
    # Random pairs put sentences back, which makes more chunks but no other odds; leftovers of one sentence add some.
    assert 0.48 < share < 0.55
    partners = [pair.second_ids[0] // 10_000 for pair in pairs if pair.is_random_next]
    counts = np.bincount(partners, minlength=300)
    assert counts.min() > 0
    assert counts.std() < 2 * counts.mean() ** 0.5  # as scattered as uniform drawing


def test_partners_are_drawn_from_a_small_buffer_too():
    pairs = pairs_of(corpus(200), buffer_documents=20)
    distances = [abs(int(b[0] // 10_000) - int(a[0] // 10_000)) for a, b, is_random in pairs if is_random]
    assert len(set(distances)) > 20


def test_every_pass_goes_over_each_document_once():
    """With random seconds only, the first segments are the document, because what is left over is put back."""
    documents = list(corpus(20, longest=1))
    pairs = pairs_of(documents, next_sentence_probability=0.0, dupe_factor=3, buffer_documents=5)
    firsts = np.concatenate([pair.first_ids for pair in pairs])
    ids, counts = np.unique(firsts, return_counts=True)
    assert ids.tolist() == sorted(int(token) for document in documents for token in document)
    assert set(counts) == {3}
    assert all(pair.is_random_next for pair in pairs)


def test_true_next_chunks_cover_the_document():
    documents = list(corpus(10, longest=1, num_sentences=100))
    pairs = pairs_of(documents, next_sentence_probability=1.0, short_sequence_probability=0.0, dupe_factor=1)
    nexts = [pair for pair in pairs if not pair.is_random_next]
    assert len(nexts) == len(pairs) == 30  # 40 + 40 + 20 tokens each
    covered = np.concatenate([ids for pair in pairs for ids in pair[:2]])
    assert sorted(covered.tolist()) == sorted(int(token) for document in documents for token in document)


def test_dupes_differ_in_their_chunks():
    pairs = as_lists(pairs_of(corpus(5), dupe_factor=4))
    firsts = [tuple(first) for first, _, _ in pairs if first[0] == 0]
    assert len(firsts) >= 4
    assert len(set(firsts)) > 1


def test_short_sequences():
    long_documents = list(corpus(50, num_sentences=400, longest=3))
    never = pairs_of(long_documents, short_sequence_probability=0.0, max_tokens=100, dupe_factor=1)
    always = pairs_of(long_documents, short_sequence_probability=1.0, max_tokens=100, dupe_factor=1)
    lengths = [[len(first) + len(second) for first, second, _ in pairs] for pairs in (never, always)]
    assert np.mean(lengths[0]) > 90
    # The target is uniform between 2 and 100 for each pass, so shorter targets make more pairs.
    assert np.mean(lengths[1]) < 50
    assert len(set(lengths[1])) > 40


def test_a_chunk_of_one_sentence_gets_a_random_second():
    documents = [[" ".join(str(document * 10_000 + place) for place in range(100))] * 2 for document in range(5)]
    pairs = pairs_of(documents, next_sentence_probability=1.0)
    assert pairs
    assert all(pair.is_random_next for pair in pairs)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 50), st.integers(0, 100))
def test_truncation_takes_from_the_longer_one_at_either_end(len_first, len_second, max_tokens, seed):
    first, second = np.arange(len_first), np.arange(100, 100 + len_second)
    pair = _truncated(first, second, False, max_tokens, random.Random(seed))
    expected = [len_first, len_second]
    while sum(expected) > max_tokens:  # google-research/bert, truncate_seq_pair
        expected[0 if expected[0] > expected[1] else 1] -= 1
    assert [len(pair.first_ids), len(pair.second_ids)] == expected
    for ids, source in ((pair.first_ids, first), (pair.second_ids, second)):
        assert is_consecutive(ids)
        assert set(ids) <= set(source)


def test_truncation_drops_from_front_and_end_equally():
    rng = random.Random(0)
    fronts = [_truncated(np.arange(300), np.arange(10), False, 110, rng).first_ids[0] for _ in range(500)]
    assert 97 < np.mean(fronts) < 103  # 200 tokens go, each from the front with probability 1/2
    assert 6 < np.std(fronts) < 8  # sqrt(200) / 2


def test_the_seed_decides():
    first, again, other = (as_lists(pairs_of(corpus(60), seed=seed, buffer_documents=9)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_pairs_do_not_depend_on_how_many_documents_one_call_tokenizes(monkeypatch):
    expected = as_lists(pairs_of(corpus(60)))
    monkeypatch.setattr("kerasbert.data.pretraining.tokenized_documents._TOKENIZE_CHARACTERS", 50)
    assert as_lists(pairs_of(corpus(60))) == expected


def test_a_ragged_tensor_works_like_lists():
    def ragged(sentences):
        return tf.ragged.constant(tokenize(sentences), dtype=tf.int32)

    arguments = {"max_tokens": 40, "seed": 1, "dupe_factor": 2}
    assert as_lists(segment_pairs(corpus(20), ragged, **arguments)) == as_lists(pairs_of(corpus(20)))


def test_tokenizing_is_bounded_in_one_call(monkeypatch):
    monkeypatch.setattr("kerasbert.data.pretraining.tokenized_documents._TOKENIZE_CHARACTERS", 500)
    sizes = []

    def measured(sentences):
        sizes.append(sum(map(len, sentences)))
        return tokenize(sentences)

    list(segment_pairs(corpus(3, num_sentences=500), measured, max_tokens=40, seed=1))
    assert max(sizes) < 600


def test_sentences_and_documents_without_tokens_are_left_out():
    documents = [["", "1 2", "", "3"], ["", ""], ["10001 10002", "10003", ""]]
    pairs = pairs_of(documents, max_tokens=3)
    assert {int(token) for pair in pairs for ids in pair[:2] for token in ids} == {1, 2, 3, 10001, 10002, 10003}


def test_a_buffer_bounded_by_tokens_still_pairs():
    pairs = pairs_of(corpus(50), buffer_tokens=1)
    assert {pair.first_ids[0] // 10_000 for pair in pairs} == set(range(50))
    assert all((pair.first_ids[0] // 10_000 != pair.second_ids[0] // 10_000) == pair.is_random_next for pair in pairs)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "at least one token"),
        ([["", ""], [""]], "at least one token"),
        ([["1 2", "3 4"]], r"needs at least two documents.*Put a blank line between documents"),
        ([["1 2", "3 4"], ["", ""]], "needs at least two documents"),
        ([["1 2"], ["10001"], ["20001"]], r"two or more sentences. Received: 3 documents of one line each"),
    ],
)
def test_text_that_cannot_be_paired_is_refused(documents, message):
    with pytest.raises(BadInputError, match=message):
        pairs_of(documents)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_tokens": 1},
        {"dupe_factor": 0},
        {"buffer_documents": 1},
        {"short_sequence_probability": 1.5},
        {"next_sentence_probability": -0.1},
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must"):
        pairs_of(corpus(3), **arguments)


def test_a_tokenizer_that_loses_sentences():
    with pytest.raises(ValueError, match="one list of token ids for each sentence"):
        list(segment_pairs(corpus(3), lambda sentences: [[1]], max_tokens=4, seed=0))


def test_sentence_borders():
    document = TokenizedDocument([[1, 2], [], [3], [4, 5, 6]])
    assert document.num_sentences == 3
    assert document.tokens(1, 3).tolist() == [3, 4, 5, 6]
    assert [document.end_of_chunk(0, wanted) for wanted in (-3, 0, 1, 2, 3, 4, 6, 7)] == [1, 1, 1, 1, 2, 3, 3, 3]


def test_memory_does_not_grow_with_the_corpus(monkeypatch):
    monkeypatch.setattr("kerasbert.data.pretraining.tokenized_documents._TOKENIZE_CHARACTERS", 10_000)

    def peak(num_documents):
        documents = corpus(num_documents, num_sentences=20)
        tracemalloc.start()
        number = sum(1 for _ in segment_pairs(documents, tokenize, max_tokens=40, seed=1, buffer_documents=100))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert number > num_documents
        return peak

    peak(200)
    assert peak(1200) < 1.2 * peak(300)
