"""The split by hash: stable, in proportion, and independent of other texts."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.data import is_held_out, stable_fraction, stable_split

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_shares_are_met():
    counts = Counter(stable_split(f"text {index}", FRACTIONS) for index in range(20_000))
    for part, share in FRACTIONS.items():
        assert abs(counts[part] / 20_000 - share) < 0.01


def test_frozen_values_so_that_no_release_moves_a_text():
    parts = [stable_split(str(number), FRACTIONS) for number in range(7)]
    assert parts == ["train", "train", "validation", "train", "train", "test", "test"]
    assert stable_fraction("") == pytest.approx(0.889416, abs=1e-6)


@settings(deadline=None)
@given(st.text(), st.floats(0.01, 0.99))
def test_growing_the_first_part_removes_nothing_from_it(key, share):
    smaller = stable_split(key, {"train": share, "test": 1 - share})
    larger = stable_split(key, {"train": (1 + share) / 2, "test": (1 - share) / 2})
    assert (smaller, larger) != ("train", "test")


@settings(deadline=None)
@given(st.text())
def test_whole_and_empty_shares(key):
    assert stable_split(key, {"none": 0.0, "all": 1.0}) == "all"
    assert is_held_out([key], 1.0)
    assert not is_held_out([key], 0.0)


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}])
def test_bad_shares(fractions):
    with pytest.raises(ValueError, match="must sum to 1"):
        stable_split("a", fractions)
    with pytest.raises(ValueError, match="between 0 and 1"):
        is_held_out(["a"], 1.5)
