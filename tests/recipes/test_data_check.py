"""A check of data counts what was planted, and compares it with limits."""

import json
from pathlib import Path

import pytest

from kerasbert.data import LabelledTexts
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import check_data, write_data_check
from kerasbert.settings import DataCheckSettings

WORDS = {"money": "cash coin bill loan debt fee rate bank", "travel": "train ship road map hotel beach bag tour"}


def rows_of(texts: list[str], labels: list[str], name: str = "train") -> LabelledTexts:
    places = tuple(f"line {line} of '{name}.csv'" for line in range(2, len(texts) + 2))
    return LabelledTexts(tuple(texts), None, tuple(labels), places)


@pytest.fixture(scope="module")
def rows() -> LabelledTexts:
    """40 clean rows, and one or two of each problem."""
    texts, labels = [], []
    for label, words in WORDS.items():
        words = words.split()
        for number in range(20):
            texts.append(f"about the {words[number % 8]} and a {words[(number * 3 + 1 + number // 8) % 8]} no {number}")
            labels.append(label)
    texts += [
        "About the  CASH and a coin no 0",
        "about the train and a ship no 0.",
        texts[3],
        "",
        "the cash and the coin",
    ]
    labels += ["money", "travel", "travel", "money", "travel"]
    return rows_of([*texts, "word " * 12], [*labels, "rare"])


@pytest.fixture(scope="module")
def test_rows(rows: LabelledTexts) -> LabelledTexts:
    return rows_of(["Something about a hotel", rows.texts[25], rows.texts[0] + "!", ""], ["travel"] * 4, "test")


@pytest.fixture(scope="module")
def to_inputs() -> TextToInputs:
    words = sorted({letter for words in WORDS.values() for letter in words.split()} | {"about", "the", "a", "and"})
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "no"])
    return TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=12)


def texts_of(part: dict) -> list[str]:
    return [example["text"] for example in part["examples"]]


def test_every_planted_problem_is_counted(
    rows: LabelledTexts, test_rows: LabelledTexts, to_inputs: TextToInputs
) -> None:
    result = check_data(rows, test_rows, to_inputs, DataCheckSettings(rare_label=2)).result
    assert (result["rows"], result["test_rows"]) == (46, 4)
    assert [(one["place"], one["repeats"]["place"]) for one in result["duplicates"]["examples"]] == [
        ("line 42 of 'train.csv'", "line 2 of 'train.csv'"),
        ("line 44 of 'train.csv'", "line 5 of 'train.csv'"),
    ]
    assert texts_of(result["near_duplicates"])[-1:] == ["about the train and a ship no 0."]
    assert result["conflicts"]["count"] == 2
    assert {one["label"] for one in result["conflicts"]["examples"]} == {"money", "travel"}
    assert [(one["split"], one["text"]) for one in result["overlap"]["examples"]] == [
        ("test", rows.texts[25]),
        ("test", rows.texts[0] + "!"),
    ]
    assert result["overlap"]["share"] == 0.5
    assert texts_of(result["empty"]) == [""]
    assert texts_of(result["too_long"]) == ["word " * 12]
    assert result["too_long"]["tokens_cut_off"] == 2
    assert result["rare_labels"] == {"count": 1, "share": 1 / 3, "labels": {"rare": 1}}
    assert "the cash and the coin" in texts_of(result["doubtful_labels"])
    assert result["scripts"] == {"Latin": 1.0}
    assert set(result["baseline"]) == {"majority", "tf_idf_logistic_regression"}
    assert json.loads(json.dumps(result))["rows"] == 46


def test_limits_are_compared_with_shares(rows: LabelledTexts, test_rows: LabelledTexts) -> None:
    exact = DataCheckSettings(find_doubtful_labels=False, max_duplicates=2 / 46, max_overlap=0.5, max_empty=1 / 46)
    assert check_data(rows, test_rows, settings=exact).problems == ()
    low = DataCheckSettings(find_doubtful_labels=False, max_duplicates=0.04, max_overlap=0.4, max_rare_labels=0)
    assert check_data(rows, test_rows, settings=low).problems == (
        "2 of 46 (4.3%) rows repeat an earlier row: more than `max_duplicates` = 0.04.",
        "2 of 4 (50.0%) test rows also occur in the other rows: more than `max_overlap` = 0.4.",
        "1 of 3 (33.3%) labels have too few rows: more than `max_rare_labels` = 0.",
    )


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ({"max_overlap": 0}, "`max_overlap` needs test rows. Received: none. Pass `test`"),
        ({"max_too_long": 0}, "`max_too_long` needs a model's vocabulary"),
        ({"max_length": 9}, "`max_length` needs a model's vocabulary"),
        ({"max_doubtful_labels": 0, "find_doubtful_labels": False}, "`find_doubtful_labels=True`"),
    ],
)
def test_a_limit_that_cannot_be_checked_is_refused(rows: LabelledTexts, limit: dict, what: str) -> None:
    with pytest.raises(BadInputError, match=what):
        check_data(rows, settings=DataCheckSettings(**limit))


def test_limits_on_labels_need_labels_with_rows() -> None:
    few = rows_of(["a", "b", "c", " ", ""], ["x", "y", "x", "y", "y"])
    with pytest.raises(BadInputError, match="needs at least two labels with 5 rows"):
        check_data(few, settings=DataCheckSettings(max_doubtful_labels=0))
    assert "doubtful_labels" not in check_data(few).result
    scores = LabelledTexts(("a", "a"), None, (0.5, 1.0), ("line 2", "line 3"), "regression")
    with pytest.raises(BadInputError, match="`max_conflicts` needs one label for each row"):
        check_data(scores, settings=DataCheckSettings(max_conflicts=0))
    assert check_data(scores).result["duplicates"]["count"] == 1


def test_texts_without_letters_and_pairs_are_checked() -> None:
    nothing = rows_of([""] * 12, ["x", "y"] * 6)
    result = check_data(nothing, nothing).result
    assert (result["empty"]["count"], result["duplicates"]["count"], result["overlap"]["count"]) == (12, 0, 0)
    pairs = LabelledTexts(("a", "A", "a"), ("b", "B ", "c"), ("x", "y", "x"), ("1", "2", "3"))
    result = check_data(pairs).result
    assert [one["text_pair"] for one in result["duplicates"]["examples"]] == ["B "]
    assert result["conflicts"]["count"] == 2


def test_the_folder_has_both_files_and_keeps_others(rows: LabelledTexts, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    found = check_data(rows, settings=DataCheckSettings(max_conflicts=0))
    for _ in range(2):
        page = write_data_check(found, tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"data_check.html", "data_check.json", "notes.txt"}
    written = json.loads((tmp_path / "data_check.json").read_text(encoding="utf-8"))
    assert written == {**json.loads(json.dumps(found.result)), "problems": list(found.problems)}
    text = page.read_text(encoding="utf-8")
    assert "Limits that are exceeded" in text
    assert "Same text, different labels" in text
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInputError, match="must be a folder"):
        write_data_check(found, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
