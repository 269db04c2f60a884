"""Checks labelled texts before anything is trained on them, and compares what it finds with limits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbert.data import LabelledTexts
from kerasbert.data.quality import (
    FOLDS,
    conflicting_groups,
    doubtful_labels,
    labels_as_numbers,
    near_duplicates,
    out_of_fold_probabilities,
    repeated_groups,
    script_shares,
    text_key,
)
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.baseline_comparison import joined_texts, linear_metrics, majority_metrics
from kerasbert.recipes.data_check_examples import Examples
from kerasbert.recipes.text_metrics import token_ids
from kerasbert.settings import DataCheckSettings

# Limit -> the part of the result that it is for, and what a row with the problem is called.
LIMITS = {
    "max_empty": ("empty", "rows are empty"),
    "max_too_long": ("too_long", "rows are too long for the model"),
    "max_duplicates": ("duplicates", "rows repeat an earlier row"),
    "max_near_duplicates": ("near_duplicates", "rows nearly repeat an earlier row"),
    "max_conflicts": ("conflicts", "rows have a text that also occurs with another label"),
    "max_overlap": ("overlap", "test rows also occur in the other rows"),
    "max_doubtful_labels": ("doubtful_labels", "rows have a label that is probably wrong"),
    "max_rare_labels": ("rare_labels", "labels have too few rows"),
}


@dataclass(frozen=True)
class DataCheck:
    """What a check found.

    Attributes:
        result: JSON values. Each problem has `count`, `share`, and `examples` with the most important rows.
        problems: a sentence for each limit that is exceeded.

    Example:
        >>> DataCheck({"rows": 3}, ()).problems
        ()
    """

    result: dict[str, Any]
    problems: tuple[str, ...]


def check_data(
    rows: LabelledTexts,
    test: LabelledTexts | None = None,
    text_to_inputs: TextToInputs | None = None,
    settings: DataCheckSettings | None = None,
    most_examples: int = 50,
) -> DataCheck:
    """Check labelled texts.

    Args:
        rows: the training rows, and validation rows if there are any.
        test: the test rows.
        text_to_inputs: the model's preprocessing, which counts tokens. Without it, lengths are not checked.
        settings: what is checked, and the limits.
        most_examples: the largest number of examples of each problem in the result.

    Returns:
        What was found. Labels are checked only for the problem type "single_label_classification".

    Raises:
        BadInputError: a limit is set for something that cannot be checked, e.g. `max_overlap` without test rows; or
            scikit-learn or datasketch is not installed.

    Example:
        >>> rows = LabelledTexts(("a day", "A day", ""), None, ("x", "y", "x"), ("line 2", "line 3", "line 4"))
        >>> found = check_data(rows, settings=DataCheckSettings(find_doubtful_labels=False, max_conflicts=0))
        >>> found.problems
        ('2 of 3 (66.7%) rows have a text that also occurs with another label: more than `max_conflicts` = 0.',)
    """
    settings = settings or DataCheckSettings()
    _check_limits(rows, test, text_to_inputs, settings)
    show = Examples(rows, test, most_examples)
    keys = _keys(rows)
    groups = repeated_groups(keys)
    result: dict[str, Any] = {
        "format": 1,
        "rows": len(rows),
        "test_rows": len(test) if test else 0,
        "scripts": script_shares(rows.texts),
        "empty": show.rows([row for row, key in enumerate(keys) if "" in key.split("\n")]),
        "duplicates": show.pairs([(group[0], row, 1.0) for group in groups for row in group[1:] if keys[row].strip()]),
        "near_duplicates": show.pairs(_first_of_each(near_duplicates(keys, settings.similarity))),
    }
    if text_to_inputs:
        result |= _lengths(rows, text_to_inputs, settings, show)
    if test:
        result["overlap"] = show.pairs(_overlap(keys, _keys(test), settings.similarity), len(test))
    if rows.problem_type == "single_label_classification" and rows.labels:
        result |= _labels(rows, test, groups, settings, show)
    return DataCheck(result, _problems(result, settings))


def _check_limits(
    rows: LabelledTexts, test: LabelledTexts | None, text_to_inputs: TextToInputs | None, settings: DataCheckSettings
) -> None:
    """Refuses a setting that would be ignored: a limit that is never compared with anything looks as if it held."""
    model = "a model's vocabulary", "Pass `text_to_inputs`"
    has_labels = rows.problem_type == "single_label_classification" and bool(rows.labels)
    labels = "one label for each row", "Check a table with one label for each row"
    filled = (label for text, label in zip(joined_texts(rows), rows.labels or (), strict=False) if text.strip())
    counts = Counter(filled if has_labels else ())
    needs = [
        (text_to_inputs is not None, ("max_length", "max_too_long"), *model),
        (test is not None, ("max_overlap",), "test rows", "Pass `test`"),
        (has_labels, ("max_conflicts", "max_doubtful_labels", "max_rare_labels"), *labels),
        (settings.find_doubtful_labels, ("max_doubtful_labels",), "a linear model", "Use `find_doubtful_labels=True`"),
        (
            sum(count >= FOLDS for count in counts.values()) > 1,
            ("max_doubtful_labels",),
            f"at least two labels with {FOLDS} rows",
            "Add rows",
        ),
    ]
    for is_there, names, what, fix in needs:
        given = [name for name in names if getattr(settings, name) is not None]
        if given and not is_there:
            raise BadInputError(f"`{given[0]}` needs {what}. Received: none. {fix}, or leave out `{given[0]}`.")


def _keys(rows: LabelledTexts) -> list[str]:
    pairs: Sequence[str | None] = rows.pairs or [None] * len(rows)
    return [text_key(text, pair) for text, pair in zip(rows.texts, pairs, strict=True)]


def _first_of_each(pairs: Sequence[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Of the pairs with the same second row, the first: a row is repeated once, however many rows it resembles."""
    firsts = {row: (other, row, share) for other, row, share in reversed(pairs)}
    return [firsts[row] for row in sorted(firsts)]


def _overlap(keys: Sequence[str], test_keys: Sequence[str], similarity: float) -> list[tuple[int, int, float]]:
    """The test rows, counted after the others, that occur among the others, exactly or nearly."""
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    found = {}
    near = near_duplicates([*keys, *test_keys], similarity, first=len(keys))
    similar = {test_keys[row - len(keys)]: (other, share) for other, row, share in reversed(near)}
    for row, key in enumerate(test_keys, start=len(keys)):
        if key in first and key.strip():
            found[row] = (first[key], row, 1.0)
        elif key in similar:
            found[row] = (similar[key][0], row, similar[key][1])
    return list(found.values())


def _lengths(
    rows: LabelledTexts, to_inputs: TextToInputs, settings: DataCheckSettings, show: Examples
) -> dict[str, Any]:
    counts = [len(ids) + 2 for ids in token_ids(to_inputs, rows.texts)]
    if rows.pairs:
        counts = [count + len(ids) + 1 for count, ids in zip(counts, token_ids(to_inputs, rows.pairs), strict=True)]
    limit = settings.max_length or to_inputs.sequence_length
    too_long = sorted((row for row, count in enumerate(counts) if count > limit), key=lambda row: -counts[row])
    return {
        "lengths": dict(sorted(Counter(counts).items())),
        "length_limit": limit,
        "too_long": {**show.rows(too_long), "tokens_cut_off": sum(counts[row] - limit for row in too_long)},
    }


def _labels(
    rows: LabelledTexts,
    test: LabelledTexts | None,
    groups: Sequence[Sequence[int]],
    settings: DataCheckSettings,
    show: Examples,
) -> dict[str, Any]:
    """What concerns the labels of single-label rows."""
    assert rows.labels is not None
    counts = Counter(rows.labels)
    rare = {label: count for label, count in sorted(counts.items()) if count < settings.rare_label}
    conflicts = [row for group in conflicting_groups(groups, rows.labels) for row in group]
    found: dict[str, Any] = {
        "labels": dict(sorted(counts.items())),
        "rare_labels": {"count": len(rare), "share": len(rare) / len(counts), "labels": rare},
        "conflicts": show.rows(conflicts),
    }
    if settings.find_doubtful_labels:
        found |= _doubts(rows, settings, show)
    can_learn = len(counts) > 1 and any(text.strip() for text in joined_texts(rows))
    if can_learn and test and test.labels and set(test.labels) <= set(counts):
        found["baseline"] = {
            "majority": majority_metrics(rows, test),
            "tf_idf_logistic_regression": linear_metrics(rows, test),
        }
    return found


def _doubts(rows: LabelledTexts, settings: DataCheckSettings, show: Examples) -> dict[str, Any]:
    """Rows whose label is probably wrong, and how well the linear model does on rows that it has not seen."""
    numbers, names = labels_as_numbers(rows.labels or ())
    asked, probabilities = out_of_fold_probabilities(joined_texts(rows), numbers, seed=settings.seed)
    if not len(asked):
        return {}
    doubts = doubtful_labels(numbers[asked], probabilities)
    shown = show.rows([int(asked[doubt.row]) for doubt in doubts])
    for example, doubt in zip(shown["examples"], doubts, strict=False):
        example |= {
            "suggested": names[doubt.suggested],
            "probability": round(doubt.probability, 4),
            "suggested_probability": round(doubt.suggested_probability, 4),
        }
    accuracy = float(np.mean(probabilities.argmax(axis=1) == numbers[asked]))
    return {"doubtful_labels": shown, "linear_model": {"rows": len(asked), "accuracy": accuracy}}


def _problems(result: Mapping[str, Any], settings: DataCheckSettings) -> tuple[str, ...]:
    totals = {"overlap": result["test_rows"], "rare_labels": len(result.get("labels", ()))}
    found = []
    for name, (part, what) in LIMITS.items():
        limit = getattr(settings, name)
        if limit is not None and part in result and result[part]["share"] > limit:
            count, share = result[part]["count"], result[part]["share"]
            total = totals.get(part, result["rows"])
            found.append(f"{count} of {total} ({share:.1%}) {what}: more than `{name}` = {limit:g}.")
    return tuple(found)
