"""The metrics of answers, compared with numbers computed by hand from the official definitions of SQuAD and CMRC."""

import pytest

from kerasbert.training.answer_metrics import (
    ANSWER_METRICS,
    answer_metrics,
    cmrc_exact_match,
    cmrc_f1,
    exact_match,
    f1,
    metric_names,
)


@pytest.mark.parametrize(
    ("found", "answers", "exact", "score"),
    [
        ("The Denver Broncos!", ["Denver Broncos"], 1, 1),
        ("U.S.", ["the US"], 1, 1),
        ("broncos of Denver", ["Denver Broncos"], 0, 0.8),  # 2 of 3 words, 2 of 2
        ("dog dog cat", ["dog cat cat"], 0, 2 / 3),  # each word as often as in both
        ("cat", ["dog", "big cat", "cat and dog"], 0, 2 / 3),  # the most similar reference
        ("Cat", ["dog", "the cat"], 1, 1),
        ("an", ["another"], 0, 0),  # only articles are removed, and only whole ones
        ("the", ["a"], 1, 1),  # both references and answers without a word count as no answer
        ("", [], 1, 1),
        ("cat", [], 0, 0),
        ("", ["cat"], 0, 0),
        ("", ["!", "cat"], 0, 0),  # a reference without a word is ignored if there is another
        ("24\u00a0 May", ["24 may"], 1, 1),
        ("“Paris”", ["Paris"], 0, 0),  # only ASCII punctuation is removed
    ],
)
def test_squad(found: str, answers: list[str], exact: float, score: float) -> None:
    assert exact_match(found, answers) == exact
    assert f1(found, answers) == pytest.approx(score)


@pytest.mark.parametrize(
    ("found", "answers", "exact", "score"),
    [
        ("“北京”", ["北京"], 1, 1),
        ("在北京市", ["北京"], 0, 2 / 3),  # 2 of 4 characters, 2 of 2
        ("北京的天气", ["北京天气"], 0, 4 / 9),  # the longest shared run is 2 long: 2 of 5, 2 of 4
        ("iPhone 7手机", ["IPHONE手机"], 0, 4 / 7),  # iphone 7 手 机: 2 of 4, 2 of 3
        ("3.5米", ["3.5 米"], 0, 1),  # white space counts only in the exact match
        ("北京…", ["北京"], 0, 0.8),  # CMRC does not remove an ellipsis
        ("上海", ["北京", "上海市"], 0, 0.8),
        ("。", ["北京"], 0, 0),
        ("", ["北京"], 0, 0),
    ],
)
def test_cmrc(found: str, answers: list[str], exact: float, score: float) -> None:
    assert cmrc_exact_match(found, answers) == exact
    assert cmrc_f1(found, answers) == pytest.approx(score)


ANSWERS = [["Anna Smith"], [], ["in the old house"], []]
FOUND = ["Anna Smith", "Ben", "old garden", "Carl"]
SCORES = [-5.0, -3.0, -1.0, 2.0]


def test_questions_without_an_answer_as_in_squad_2() -> None:
    # Words of the third answer: in, old, house, of which "old garden" has one: F1 = 2 * 1/2 * 1/3 / (1/2 + 1/3) = 0.4
    metrics = answer_metrics(ANSWERS, FOUND, SCORES)
    assert metrics == {
        "exact_match": 2 / 4,  # the first, and the last one, whose score is above the threshold of 0
        "f1": pytest.approx((1 + 0 + 0.4 + 1) / 4),
        "has_answer_exact_match": 1 / 2,
        "has_answer_f1": pytest.approx(1.4 / 2),
        "no_answer_exact_match": 1 / 2,
        # From no answer at all (2 of 4 right), answering the first question gives 3; all others only lose.
        "best_exact_match": 3 / 4,
        "best_exact_match_threshold": -5.0,
        "best_f1": 3 / 4,
        "best_f1_threshold": -5.0,
        "no_answer_threshold": 0.0,
    }


def test_the_best_threshold_gives_the_best_metrics() -> None:
    found = ["Anna Smith", "Ben", "in old house", "Carl"]
    best = answer_metrics(ANSWERS, found, [-5.0, 1.5, 1.0, 2.0])
    assert best["best_f1"] == 1.0
    assert best["f1"] == 0.75
    at_best = answer_metrics(ANSWERS, found, [-5.0, 1.5, 1.0, 2.0], threshold=best["best_f1_threshold"])
    assert at_best["f1"] == at_best["exact_match"] == 1.0
    assert at_best["no_answer_threshold"] == 1.0


def test_a_model_that_should_never_answer() -> None:
    metrics = answer_metrics([[], ["Anna"]], ["Ben", "Carl"], [0.5, 0.1])
    assert (metrics["best_exact_match"], metrics["best_exact_match_threshold"]) == (0.5, 0.0)


@pytest.mark.parametrize("answers", [[["Anna"]], [["北京"]], [["Anna"], []], [["北京"], []]])
def test_metrics_have_the_names_that_can_be_monitored(answers: list[list[str]]) -> None:
    metrics = answer_metrics(answers, ["Anna"] * len(answers), [0.0] * len(answers))
    scores = {name for name in metrics if not name.endswith("threshold")}
    assert {"loss", *scores} == set(metric_names(answers)) <= set(ANSWER_METRICS)
