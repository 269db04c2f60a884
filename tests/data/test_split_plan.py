"""Splits that look at labels and counts: never empty, no class lost, stable, and the same when made in pieces."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.data import LabelledTexts, ReadReport, SplitStatistics, TaggedTexts, stable_fraction
from kerasbert.data.split_plan import split_rows

SHARES = {"train": 0.9, "validation": 0.1}


def labelled(labels, problem_type="single_label_classification", texts=None):
    texts = texts or tuple(f"text {index}" for index in range(len(labels)))
    return LabelledTexts(texts, None, tuple(labels), texts, problem_type)


@pytest.mark.parametrize("rows", [2, 3, 7, 10, 25, 99, 400, 1000])
@pytest.mark.parametrize("fractions", [SHARES, {"train": 0.8, "eval": 0.1, "test": 0.1}, {"train": 0.5, "eval": 0.5}])
def test_shares_are_met_within_one_row(rows, fractions):
    if rows < len(fractions):
        return
    parts, note = split_rows([f"text {index}" for index in range(rows)], [()] * rows, fractions)
    assert note is None
    assert sorted(index for part in parts.values() for index in part) == list(range(rows))
    for part, share in fractions.items():
        assert abs(len(parts[part]) - share * rows) <= 1 or rows * min(fractions.values()) < 1
        assert parts[part]


def test_many_rows_follow_their_hash_alone():
    rows = 25_000
    keys = [f"text {index}" for index in range(rows)]
    parts, _ = split_rows(keys, [["rare"] if index == 7 else ["common"] for index in range(rows)], SHARES)
    assert abs(len(parts["validation"]) - 2500) < 200
    assert 7 in parts["train"]
    more, _ = split_rows(keys[:-100], [()] * (rows - 100), SHARES)
    assert set(more["validation"]) - {7} == {index for index in parts["validation"] if index < rows - 100} - {7}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcdef")), min_size=2, max_size=80))
def test_training_keeps_every_class_and_equal_texts_stay_together(rows):
    table = labelled([label for _, label in rows], texts=tuple(f"text {number}" for number, _ in rows))
    parts = table.split(SHARES, report := ReadReport())
    assert set(parts["train"].labels) == set(table.labels)
    assert len(parts["validation"])
    together = set(parts["train"].texts) & set(parts["validation"].texts)
    assert not together or "training needs every row" in report.warning()


def test_a_rare_class_is_reported_once():
    # The row of the highest hash would be held out first.
    rows = max(range(30), key=lambda index: stable_fraction(f"text {index}"))
    table = labelled(["rare" if index == rows else "ab"[index % 2] for index in range(30)])
    report = ReadReport()
    parts = table.split(SHARES, report)
    assert "rare" in parts["train"].labels
    assert len(parts["validation"]) == 3
    assert report.warning() == "rows of 1 rare class stay in training ('rare')"


def test_one_row_of_each_class_still_splits():
    table = labelled([str(index) for index in range(20)])
    parts = table.split(SHARES, report := ReadReport())
    assert len(parts["train"]) == 20
    assert len(parts["validation"]) == 2
    assert "training needs every row" in report.warning()


def test_all_kinds_of_labels():
    multi = labelled([("a",), ("b", "c"), (), ("a", "b"), ("c",), (), ("d",)], "multi_label_classification")
    parts = multi.split(SHARES)
    assert {name for names in parts["train"].labels for name in names} == set("abcd")
    numbers = labelled([float(index) for index in range(10)], "regression").split(SHARES)
    assert len(numbers["validation"]) == 1
    words = tuple((f"word{index}", "x") for index in range(12))
    tags = tuple(("B-rare" if index == 4 else "B-place", "O") for index in range(12))
    tagged = TaggedTexts(words, tags, tuple(map(str, range(12)))).split(SHARES)
    assert {tag for row in tagged["train"].tags for tag in row} == {"B-rare", "B-place", "O"}
    assert len(tagged["validation"]) == 1


def test_added_rows_move_few_others():
    before = set(labelled("ab" * 150).split(SHARES)["validation"].texts)
    after = labelled("ab" * 165).split(SHARES)["validation"].texts
    old = {f"text {index}" for index in range(300)}
    assert len(before ^ (set(after) & old)) <= 4


@pytest.mark.parametrize("rows", [60, 21_000])
def test_merged_counts_plan_the_same_split(rows):
    keys = [f"text {index % (rows - 10)}" for index in range(rows)]
    whole = SplitStatistics()
    pieces = [SplitStatistics() for _ in range(7)]
    for index, key in enumerate(keys):
        names = ["rare"] if index % 5000 == 11 else ["common"]
        whole.add(key, names)
        pieces[index % 7].add(key, names)
    merged = SplitStatistics()
    for piece in pieces:
        merged.merge(pickle.loads(pickle.dumps(piece)))
    plans = [statistics.plan(SHARES) for statistics in (whole, merged)]
    assert plans[0] == plans[1] == pickle.loads(pickle.dumps(plans[1]))
    assert len(pickle.dumps(whole)) < 10_000 or rows == 60


def test_a_part_may_need_more_than_one_row():
    statistics = SplitStatistics()
    for index in range(10):
        statistics.add(f"document {index}")
    plan = statistics.plan({"train": 0.95, "eval": 0.05}, least=2)
    assert sum("eval" in plan.parts_of(f"document {index}") for index in range(10)) == 2


def test_shares_must_sum_to_one():
    with pytest.raises(ValueError, match="sum to 1"):
        SplitStatistics().plan({"train": 0.5, "validation": 0.1})
