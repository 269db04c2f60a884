"""Segment pairs against the published rules of create_pretraining_data.py, rewritten in plain Python."""

import random

import numpy as np
import pytest

from kerasbert.data import segment_pairs
from kerasbert.data.pretraining.segment_pairs import _DocumentBuffer
from kerasbert.data.pretraining.tokenized_documents import TokenizedDocument

MAX_TOKENS = 29  # a sequence length of 32


def original_pairs(documents, index, rng):
    """`create_instances_from_document` without masking: pairs of one pass over one document, and whether random."""
    document = documents[index]
    target = rng.randint(2, MAX_TOKENS) if rng.random() < 0.1 else MAX_TOKENS
    chunk, length, place = [], 0, 0
    while place < len(document):
        chunk.append(document[place])
        length += len(document[place])
        if place == len(document) - 1 or length >= target:
            first_end = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
            first = [token for sentence in chunk[:first_end] for token in sentence]
            second = []
            is_random = len(chunk) == 1 or rng.random() < 0.5
            if is_random:
                for _ in range(10):
                    other = rng.randint(0, len(documents) - 1)
                    if other != index:
                        break
                start = rng.randint(0, len(documents[other]) - 1)
                for sentence in documents[other][start:]:
                    second += sentence
                    if len(second) >= target - len(first):
                        break
                place -= len(chunk) - first_end  # those that were not used are put back
            else:
                second = [token for sentence in chunk[first_end:] for token in sentence]
            while len(first) + len(second) > MAX_TOKENS:
                longer = first if len(first) > len(second) else second
                del longer[0 if rng.random() < 0.5 else -1]
            yield first, second, is_random
            chunk, length = [], 0
        place += 1


def corpus():
    """Documents of 1 to 40 sentences of 1 to 14 tokens, among them one-sentence documents."""
    rng = random.Random(5)
    return [
        [[1000 * document + sentence] * rng.randint(1, 14) for sentence in range(rng.randint(1, 40))]
        for document in range(60)
    ]


def metrics(pairs):
    """What a difference in any rule would move."""
    first, second = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    return {
        "pairs": len(pairs),
        "random share": np.mean([pair[2] for pair in pairs]),
        "full share": np.mean(first + second == MAX_TOKENS),
        "short share": np.mean(first + second < MAX_TOKENS // 2),
        "first length": first.mean(),
        "first deviation": first.std(),
        "second length": second.mean(),
        "second deviation": second.std(),
        "first longer": np.mean(first > second),
    }


def test_counts_and_lengths_are_those_of_the_published_rules():
    documents, rng, passes = corpus(), random.Random(1), 60
    theirs = [pair for index in range(60) for _ in range(passes) for pair in original_pairs(documents, index, rng)]
    ours = list(segment_pairs(documents, lambda rows: rows, max_tokens=MAX_TOKENS, seed=2, dupe_factor=passes))
    expected, found = metrics(theirs), metrics([(a.tolist(), b.tolist(), r) for a, b, r in ours])
    assert len(theirs) > 20_000
    for name, value in expected.items():
        # Four standard errors of a share or a mean of that many pairs, or 1.5% of a larger number.
        assert found[name] == pytest.approx(value, rel=0.015, abs=0.015), name


def test_short_targets_come_with_the_probability_and_the_range_of_the_rules():
    """With sentences of one token a chunk is as long as its target, so that the targets can be counted."""
    documents = [[[document]] * MAX_TOKENS for document in range(2)]
    settings = {"max_tokens": MAX_TOKENS, "dupe_factor": 20_000, "next_sentence_probability": 1.0}
    pairs = segment_pairs(documents, lambda rows: rows, seed=3, **settings)
    # A pass over a document with its full target makes one pair of all its tokens, a shorter one several.
    full = sum(len(a) + len(b) == MAX_TOKENS for a, b, _ in pairs)
    # A draw from 2 to MAX_TOKENS hits MAX_TOKENS itself once in 28.
    assert full / 40_000 == pytest.approx(0.9 + 0.1 / 28, abs=0.006)


def test_another_document_is_tried_ten_times():
    class Scripted(random.Random):
        def randrange(self, *_):
            return self.script.pop(0)

    rng = Scripted()
    buffer = _DocumentBuffer(rng, dupe_factor=1)
    documents = [TokenizedDocument([[number]]) for number in range(3)]
    for document in documents:
        buffer.add(document)
    rng.script = [1] * 9 + [2, 0]
    assert buffer.other(1) is documents[2]
    assert rng.script == [0]
    rng.script = [1] * 10 + [2]
    assert buffer.other(1) is documents[0]  # never itself, where the original gives up and takes it
    assert rng.script == [2]
