"""Spans of characters, as annotation tools export them, become BIO tags of words."""

import json
from pathlib import Path
from typing import Any

import pytest

from kerasbert.data import ReadReport, read_tagged
from kerasbert.errors import BadInputError

TEXT = "Anna, of New York."
WORDS = ("Anna", ",", "of", "New", "York", ".")
TAGS = ("B-PER", "O", "O", "B-LOC", "I-LOC", "O")
SPANS = [[0, 4, "PER"], [9, 17, "LOC"]]


def objects(start: str, end: str, label: str, several: bool = False) -> list[dict[str, Any]]:
    return [{start: first, end: last, label: [kind] if several else kind} for first, last, kind in SPANS]


STUDIO = [{"type": "labels", "value": value} for value in objects("start", "end", "labels", several=True)]
ROWS = {
    "Doccano": {"id": 1, "text": TEXT, "label": SPANS},
    "Doccano, several projects": {"text": TEXT, "entities": objects("start_offset", "end_offset", "label")},
    "Label Studio": {"data": {"text": TEXT}, "annotations": [{"result": STUDIO, "was_cancelled": False}]},
    "Label Studio, short": {"text": TEXT, "label": objects("start", "end", "labels", several=True)},
    "Prodigy": {"text": TEXT, "spans": objects("start", "end", "label"), "tokens": [{"text": "Anna"}]},
}


def written(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    content = json.dumps(rows) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("tool", ROWS)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("count", [1, 2])
def test_every_export_gives_the_same_tags(tool: str, name: str, count: int, tmp_path: Path) -> None:
    if (tool, name, count) == ("Label Studio", "rows.jsonl", 1):
        pytest.skip("Label Studio exports arrays; a single object is read as a document that contains rows")
    rows = read_tagged(written(tmp_path, [ROWS[tool]] * count, name), "text", "label")
    assert rows.words == (WORDS,) * count
    assert rows.tags == (TAGS,) * count


def test_a_span_splits_a_word_and_the_next_one_begins_again(tmp_path: Path) -> None:
    row = {"text": "在北京人 preprocessing", "label": [[1, 3, "LOC"], [3, 4, "PER"], [5, 8, "P R"]]}
    rows = read_tagged(written(tmp_path, [row]), "text", "label")
    assert rows.words == (("在", "北", "京", "人", "pre", "processing"),)
    assert rows.tags == (("O", "B-LOC", "I-LOC", "B-PER", "B-P_R", "O"),)


def test_offsets_in_utf16_units_are_recognized_by_the_quoted_text(tmp_path: Path) -> None:
    span = {"start": 3, "end": 7, "text": "Anna", "labels": ["PER"]}
    rows = read_tagged(written(tmp_path, [{"text": "\U0001f600 Anna", "label": [span]}]), "text", "label")
    assert rows.tags == (("O", "B-PER"),)


def test_rows_that_an_annotator_rejected_are_left_out(tmp_path: Path) -> None:
    report = ReadReport()
    path = written(tmp_path, [ROWS["Prodigy"], {**ROWS["Prodigy"], "answer": "reject"}])
    assert len(read_tagged(path, report=report)) == 1
    assert "1 rows" in str(report.warning())


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([[0, 4, "PER"], [2, 8, "LOC"]], "overlap"),
        ([[0, 99, "PER"]], "18 characters"),
        ([[4, 4, "PER"]], "first character"),
        ([[0, 4]], "first character"),
        ([{"start": 0, "end": 4}], "a label"),
    ],
)
def test_spans_that_are_none_are_refused(spans: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=rf"{message}.*line 1 of"):
        read_tagged(written(tmp_path, [{"text": TEXT, "label": spans}]), "text", "label")
