"""The metrics of answers to questions about a text, as the official scripts of SQuAD and CMRC compute them.

All are shares from 0 to 1, where the scripts print percentages.

Sources: SQuAD's `evaluate-v2.0.py`, which gives the numbers of `evaluate-v1.1.py` if every question has an answer, and
CMRC 2018's `cmrc2018_evaluate.py`. One difference: CMRC's script splits words in Latin letters with NLTK; here, a word
is a run of letters and digits, or a number with its decimal point and thousands separators.
"""

import collections
import re
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# The metrics that are single numbers, without counts. Some exist only for Chinese, or for questions without an answer.
ANSWER_METRICS = (
    *("loss", "exact_match", "f1", "cmrc_exact_match", "cmrc_f1"),
    *("has_answer_exact_match", "has_answer_f1", "no_answer_exact_match", "best_exact_match", "best_f1"),
)

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))
_CHINESE = re.compile("[\u4e00-\u9fa5]")
# CMRC's list also has "……", which no single character equals: an ellipsis is not removed.
_CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_WORDS = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")


def normalized_answer(text: str) -> str:
    """Return an answer as SQuAD compares it: in lower case, without punctuation, articles and repeated white space.

    Example:
        >>> normalized_answer("The  Cat, an animal!")
        'cat animal'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(found: str, answers: Iterable[str]) -> float:
    """Return 1 if SQuAD counts an answer as equal to one of the references, else 0.

    Args:
        found: the answer; an empty text for no answer.
        answers: the references; none if the question has no answer.

    Example:
        >>> exact_match("the cat", ["a cat", "dog"]), exact_match("", []), exact_match("cat", [])
        (1.0, 1.0, 0.0)
    """
    return float(normalized_answer(found) in {normalized_answer(answer) for answer in _references(answers)})


def f1(found: str, answers: Iterable[str]) -> float:
    """Return the F1 of the words that an answer shares with the most similar reference, as in SQuAD.

    For the arguments, see `exact_match`.

    Example:
        >>> round(f1("the big cat", ["a cat", "dog"]), 3)
        0.667
    """
    return max(_word_f1(found, answer) for answer in _references(answers))


def _references(answers: Iterable[str]) -> list[str]:
    """Return the references that are not empty after normalization, or an empty text if there are none."""
    return [answer for answer in answers if normalized_answer(answer)] or [""]


def _word_f1(found: str, answer: str) -> float:
    words, wanted = normalized_answer(found).split(), normalized_answer(answer).split()
    if not words or not wanted:
        return float(words == wanted)
    return _f1((collections.Counter(words) & collections.Counter(wanted)).total(), len(words), len(wanted))


def _f1(shared: int, found: int, wanted: int) -> float:
    """Return the harmonic mean of precision and recall."""
    if not shared:
        return 0.0
    precision, recall = shared / found, shared / wanted
    return 2 * precision * recall / (precision + recall)


def cmrc_exact_match(found: str, answers: Iterable[str]) -> float:
    """Return 1 if CMRC counts an answer as equal to one of the references: without Chinese punctuation.

    Example:
        >>> cmrc_exact_match("“北京”", ["北京"])
        1.0
    """

    def bare(text: str) -> str:
        return "".join(char for char in text.lower().strip() if char not in _CMRC_PUNCTUATION)

    return float(bare(found) in [bare(answer) for answer in answers])


def cmrc_f1(found: str, answers: Iterable[str]) -> float:
    """Return CMRC's F1: of the longest run of characters that an answer shares with a reference.

    A character is a Chinese character or a word in other letters.

    Example:
        >>> round(cmrc_f1("在北京市", ["北京"]), 3)
        0.667
    """
    units = _cmrc_units(found)
    scores = []
    for answer in answers:
        wanted = _cmrc_units(answer)
        scores.append(_f1(_longest_shared_run(wanted, units), len(units), len(wanted)))
    return max(scores, default=float(not found))


def _cmrc_units(text: str) -> list[str]:
    """Split a text into Chinese characters and words, without punctuation."""
    spaced = [
        f" {char} " if _CHINESE.match(char) else char for char in text.lower().strip() if char not in _CMRC_PUNCTUATION
    ]
    return _CMRC_WORDS.findall("".join(spaced))


def _longest_shared_run(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest contiguous sequence that both contain."""
    longest, before = 0, [0] * (len(second) + 1)
    for unit in first:
        row = [0]
        for index, other in enumerate(second):
            row.append(before[index] + 1 if unit == other else 0)
        longest, before = max(longest, *row), row
    return longest


def is_chinese(answers: Iterable[Iterable[str]]) -> bool:
    """Return whether an answer has a Chinese character, so CMRC's rules apply.

    Example:
        >>> is_chinese([["Anna"], ["北京"]])
        True
    """
    return any(_CHINESE.search(answer) for given in answers for answer in given)


def metric_names(answers: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the names of `ANSWER_METRICS` that exist for these references.

    Example:
        >>> metric_names([["Anna"]])
        ('loss', 'exact_match', 'f1')
    """
    some_have_none = not all(answers)
    prefixes = (
        ("cmrc_", is_chinese(answers)),
        ("has_", some_have_none),
        ("no_", some_have_none),
        ("best_", some_have_none),
    )
    absent = tuple(prefix for prefix, exists in prefixes if not exists)
    return tuple(name for name in ANSWER_METRICS if not name.startswith(absent))


def answer_metrics(
    answers: Sequence[Sequence[str]],
    found: Sequence[str],
    no_answer_scores: Sequence[float],
    threshold: float | None = None,
) -> dict[str, Any]:
    """Return the metrics of answers to all questions.

    Args:
        answers: the references of each question: none if it has no answer.
        found: the best answer to each question that is not empty, whatever the threshold.
        no_answer_scores: for each question, how much higher the score of no answer is than that of the best answer.
        threshold: a question with a higher no-answer score has no answer. None means 0 if some question has none, else
            that every question is answered.

    Returns:
        * `exact_match` and `f1`,
        * `cmrc_exact_match` and `cmrc_f1` if an answer is Chinese,
        * if some question has no answer: `has_answer_exact_match`, `has_answer_f1` and `no_answer_exact_match` over
          the questions with and without one; `best_exact_match` and `best_f1`, those with the best thresholds
          `best_exact_match_threshold` and `best_f1_threshold`; and `no_answer_threshold`, the one in use.

    Example:
        >>> metrics = answer_metrics([["Anna"], []], ["Anna", "Paris"], [-3.0, 2.0])
        >>> metrics["f1"], metrics["best_f1_threshold"]
        (1.0, -3.0)
    """
    has_answer = [bool(given) for given in answers]
    if threshold is None and not all(has_answer):
        threshold = 0.0
    is_kept = [threshold is None or score <= threshold for score in no_answer_scores]
    given = [text if kept else "" for text, kept in zip(found, is_kept, strict=True)]
    measured = {"exact_match": exact_match, "f1": f1}
    if is_chinese(answers):
        measured |= {"cmrc_exact_match": cmrc_exact_match, "cmrc_f1": cmrc_f1}
    metrics = {name: _mean(map(measure, given, answers)) for name, measure in measured.items()}
    if all(has_answer):
        return metrics
    for name, measure in (("exact_match", exact_match), ("f1", f1)):
        for part, is_in in (("has_answer", True), ("no_answer", False)):
            chosen = [row for row, has in enumerate(has_answer) if has is is_in]
            metrics[f"{part}_{name}"] = _mean(measure(given[row], answers[row]) for row in chosen)
    del metrics["no_answer_f1"]  # the same as the exact match
    for name, measure in (("exact_match", exact_match), ("f1", f1)):
        best, at = _best_threshold(answers, found, no_answer_scores, has_answer, measure)
        metrics |= {f"best_{name}": best, f"best_{name}_threshold": at}
    return {**metrics, "no_answer_threshold": threshold}


def _best_threshold(
    answers: Sequence[Sequence[str]],
    found: Sequence[str],
    no_answer_scores: Sequence[float],
    has_answer: Sequence[bool],
    measure: Callable[[str, Iterable[str]], float],
) -> tuple[float, float]:
    """Return the best mean of a metric over all thresholds, and the threshold: `find_best_thresh` of SQuAD's script."""
    total = float(len(has_answer) - sum(has_answer))  # no question answered
    best, at = total, 0.0
    for row in sorted(range(len(found)), key=lambda row: no_answer_scores[row]):
        total += measure(found[row], answers[row]) if has_answer[row] else -float(bool(found[row]))
        if total > best:
            best, at = total, float(no_answer_scores[row])
    return best / len(found), at


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
