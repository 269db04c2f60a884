"""Questions about texts are read from every format that people have them in."""

import json
from pathlib import Path
from typing import Any

import pytest

from kerasbert.data import ReadReport, read_questions
from kerasbert.data.tables.questions import Answer
from kerasbert.errors import BadInputError

CONTEXT = "Anna lives in Rome. Ben lives in Rome too."
EXPECTED = (("Where is Anna?", (Answer("Rome", 14),)), ("Who lives in Rome?", (Answer("Anna", 0), Answer("Ben", 20))))


def squad(**more: Any) -> dict[str, Any]:
    questions = [
        {"id": "a", "question": "Where is Anna?", "answers": [{"text": "Rome", "answer_start": 14}], **more},
        {
            "id": "b",
            "question": "Who lives in Rome?",
            "answers": [{"text": "Anna", "answer_start": 0}, {"text": "Ben", "answer_start": 20}],
            **more,
        },
    ]
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": questions}]}]}


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, rows))


FORMATS = {
    "squad.json": json.dumps(squad(), indent=1),
    "squad_2.json": json.dumps(squad(is_impossible=False)),
    "cmrc.json": json.dumps(
        [
            {
                "context_id": "1",
                "context_text": CONTEXT,
                "qas": [
                    {"query_id": "a", "query_text": "Where is Anna?", "answers": ["Rome", "Rome"]},
                    {"query_id": "b", "query_text": "Who lives in Rome?", "answers": ["Anna", "Ben"]},
                ],
            }
        ],
        ensure_ascii=False,
    ),
    "texts.jsonl": lines(
        {"id": "a", "question": "Where is Anna?", "context": CONTEXT, "answers": "Rome"},
        {"id": "b", "question": "Who lives in Rome?", "context": CONTEXT, "answers": ["Anna", "Ben"]},
    ),
    "hugging_face.jsonl": lines(
        {
            "id": "a",
            "question": "Where is Anna?",
            "context": CONTEXT,
            "answers": {"text": ["Rome"], "answer_start": [14]},
        },
        {
            "id": "b",
            "question": "Who lives in Rome?",
            "context": CONTEXT,
            "answers": {"text": ["Anna", "Ben"], "answer_start": [0, 20]},
        },
    ),
    "paragraphs.jsonl": lines(*squad()["data"][0]["paragraphs"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_questions(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMATS[name], encoding="utf-8")
    report = ReadReport()
    rows = read_questions(tmp_path / name, report=report)
    assert tuple(zip(rows.questions, rows.targets(), strict=True)) == EXPECTED
    assert rows.contexts == (CONTEXT, CONTEXT)
    assert rows.ids == ("a", "b")
    assert report.lines == 2


def test_tables_have_one_answer_in_a_cell(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"question,text,answer\nWhere is Anna?,{CONTEXT},Rome\nWhy?,{CONTEXT},\n")
    rows = read_questions(tmp_path / "rows.csv", context_column="text", answer_column="answer")
    assert rows.answers == ((Answer("Rome", 14),), ())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"text": "Rome", "answer_start": 30}, Answer("Rome", 33)),  # the nearest one
        ({"text": "Rome", "answer_start": -1}, Answer("Rome", 14)),
        ({"text": " in Rome", "answer_start": 29}, Answer("in Rome", 30)),
        ({"text": "rome", "answer_start": 14}, Answer("rome", None)),
        ("Rome too", Answer("Rome too", 33)),
    ],
)
def test_an_answer_gets_the_nearest_place_that_has_it(tmp_path: Path, answer: Any, expected: Answer) -> None:
    row = {"question": "Where?", "context": CONTEXT, "answers": [answer]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    report = ReadReport()
    assert read_questions(tmp_path / "rows.jsonl", report=report).answers == ((expected,),)
    assert ("1 of 1 questions" in (report.warning() or "")) == (expected.start is None)


@pytest.mark.parametrize(
    "more", [{"answers": []}, {"is_impossible": True}, {"answers": {"text": [], "answer_start": []}}]
)
def test_questions_without_an_answer(tmp_path: Path, more: dict[str, Any]) -> None:
    row = {"question": "Where?", "context": CONTEXT, "answers": [{"text": "Rome", "answer_start": 14}], **more}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    assert read_questions(tmp_path / "rows.jsonl").answers == ((),)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"context": CONTEXT, "answers": []}, "question"),
        ({"question": "Where?", "answers": []}, "context"),
        ({"question": "Where?", "context": CONTEXT}, "answers"),
        ({"question": "Where?", "context": 5, "answers": []}, "context"),
        ({"question": "Where?", "context": CONTEXT, "answers": [5]}, "answers"),
        ({"question": "Where?", "context": CONTEXT, "answers": [{"text": "Rome", "answer_start": "14"}]}, "number"),
        ({"question": "Where?", "context": CONTEXT, "answers": {"text": ["Rome"], "answer_start": []}}, "start"),
        ({"paragraphs": ["text"]}, "object"),
        ({"context": CONTEXT, "qas": [5]}, "object"),
    ],
)
def test_a_bad_question_is_named(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    good = {"question": "Where?", "context": CONTEXT, "answers": []}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(row)}\n")
    with pytest.raises(BadInputError, match=words) as refused:
        read_questions(tmp_path / "rows.jsonl")
    assert "line 2 of" in str(refused.value)


def test_answers_are_not_needed_for_prediction(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "Where?", "context": CONTEXT}))
    rows = read_questions(tmp_path / "rows.jsonl", answer_column=None)
    assert (rows.questions, rows.answers) == (("Where?",), None)


def test_questions_about_one_text_stay_together(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "context": f"text {n // 3}", "answers": []} for n in range(90)]
    (tmp_path / "rows.jsonl").write_text(lines(*rows))
    parts = read_questions(tmp_path / "rows.jsonl").split({"train": 0.8, "validation": 0.2})
    texts = [set(part.contexts) for part in parts.values()]
    assert not texts[0] & texts[1]
    assert sum(map(len, parts.values())) == 90
    assert all(len(part) for part in parts.values())


def test_cmrc_trial_data() -> None:
    path = Path(__file__).parents[2] / "../shared/data/cmrc2018/trial.json"
    if not path.exists():
        pytest.skip("the CMRC trial data is not on this machine")
    rows = read_questions(path)
    assert len(rows) == 1002
    assert all(
        answer.start is None or context.startswith(answer.text, answer.start)
        for context, answers in zip(rows.contexts, rows.targets(), strict=True)
        for answer in answers
    )
