"""Repeated texts and doubtful labels that are planted are found, and nothing else is."""

import itertools
import random

import numpy as np
import pytest

from kerasbert.data.quality import (
    conflicting_groups,
    doubtful_labels,
    near_duplicates,
    out_of_fold_probabilities,
    repeated_groups,
    script_shares,
    text_key,
)

WORDS = ["".join(pair) for pair in itertools.product(("ba", "ke", "mi", "no", "su", "ta"), repeat=3)]


def random_texts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.sample(WORDS, 8)) for _ in range(count)]


def test_near_duplicates_are_all_pairs_above_the_similarity() -> None:
    """Equal to comparing every pair."""
    texts = random_texts(60)
    rng = random.Random(1)
    for text in texts[:40]:
        words = text.split()
        for _ in range(rng.choice([1, 1, 2])):
            words[rng.randrange(8)] = rng.choice(WORDS)
        texts.append(" ".join(words))
    rng.shuffle(texts)
    shingles = [{text[start : start + 5] for start in range(len(text) - 4)} for text in texts]
    similarities = {
        (one, other): len(shingles[one] & shingles[other]) / len(shingles[one] | shingles[other])
        for one, other in itertools.combinations(range(len(texts)), 2)
    }
    expected = [(*pair, round(share, 2)) for pair, share in similarities.items() if share >= 0.6]
    assert len(expected) > 15
    assert near_duplicates(texts, 0.6) == expected
    across = [found for found in expected if found[0] < 50 <= found[1]]
    assert near_duplicates(texts, 0.6, first=50) == across


def test_equal_texts_are_not_near_duplicates_and_short_texts_are_compared() -> None:
    assert near_duplicates(["a text of some words"] * 3 + ["", "", "ab", "ab"]) == []
    assert near_duplicates(["a text of some words", "b", "a text of some words!", "a text of some words"]) == [
        (0, 2, 0.94)
    ]


def test_rows_that_a_reader_cannot_tell_apart_are_repeated() -> None:
    texts = ["Straße 5", "STRASSE  ５\u00a0", "Straße 6"]
    assert repeated_groups([text_key(text) for text in texts]) == [[0, 1]]
    assert text_key("a", "b c") != text_key("a b", "c")
    assert conflicting_groups([[0, 1], [2, 3]], ["x", "x", "y", "x"]) == [[2, 3]]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_wrong_labels_are_found(seed: int) -> None:
    """Precision of at least 0.9 and recall of at least 0.75, for 5% wrong labels of four topics that share words."""
    rng = random.Random(seed)
    topics = [WORDS[start : start + 60] for start in (0, 50, 100, 150)]
    truth = np.array([row % 4 for row in range(400)])
    texts = [" ".join(rng.sample(topics[topic], 6)) for topic in truth]
    wrong = sorted(rng.sample(range(400), 20))
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + [rng.randint(1, 3) for _ in wrong]) % 4
    rows, probabilities = out_of_fold_probabilities(texts, labels, seed=seed)
    found = doubtful_labels(labels[rows], probabilities)
    hits = [one for one in found if rows[one.row] in wrong]
    assert len(hits) / len(found) >= 0.9
    assert len(hits) / len(wrong) >= 0.75
    assert all(one.suggested == truth[rows[one.row]] for one in hits)
    margins = [one.probability - one.suggested_probability for one in found]
    assert margins == sorted(margins)


def test_labels_are_doubtful_by_the_rule_of_the_paper() -> None:
    """Equal to the authors' equation 2, counted row by row."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 50)
    probabilities = rng.dirichlet([1, 1, 1], 50)
    usual = [probabilities[labels == label, label].mean() for label in range(3)]
    expected = {}
    for row, label in enumerate(labels):
        confident = [other for other in range(3) if probabilities[row, other] >= usual[other]]
        best = max(confident, key=lambda other: probabilities[row, other], default=label)
        if best != label:
            expected[row] = best
    assert {one.row: one.suggested for one in doubtful_labels(labels, probabilities)} == expected


def test_rows_that_cannot_be_asked_are_left_out() -> None:
    texts = [*random_texts(12), "", " "]
    labels = np.array([0, 1] * 5 + [2, 2, 0, 1])
    rows, probabilities = out_of_fold_probabilities(texts, labels)
    assert rows.tolist() == list(range(10))
    assert probabilities.shape == (10, 3)
    assert np.all(probabilities[:, 2] == 0)
    rows, probabilities = out_of_fold_probabilities(texts, np.zeros(14, int))
    assert len(rows) == len(probabilities) == 0


def test_scripts_are_those_of_the_letters() -> None:
    shares = script_shares(["Abc 12!", "где", "中文", "ひらカナ"])
    assert shares == {"Japanese": 4 / 12, "Latin": 3 / 12, "Cyrillic": 3 / 12, "Chinese": 2 / 12}
    assert script_shares(["12", ""]) == {}
