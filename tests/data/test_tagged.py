"""Tagged words from CoNLL's columns and from lists in JSONL."""

import json
from pathlib import Path

import pytest

from kerasbert.data.stable_split import stable_split
from kerasbert.data.tagged import read_tagged
from kerasbert.errors import BadInputError

CONLL = "-DOCSTART- -X- O\n\nNew NNP B-place\nYork NNP I-place\n\n\nJürgen\tB-person\n!\tO"
WORDS = (("New", "York"), ("Jürgen", "!"))
TAGS = (("B-place", "I-place"), ("B-person", "O"))


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(CONLL)
    lines = [json.dumps({"words": words, "ner": tags}) for words, tags in zip(WORDS, TAGS, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    conll, lists = read_tagged(tmp_path / "a.conll"), read_tagged(tmp_path / "a.jsonl", "words", "ner")
    for rows in (conll, lists):
        assert (rows.words, rows.tags) == (WORDS, TAGS)
        assert rows.texts == ("New York", "Jürgen !")
    assert conll.places == (f"line 3 of '{tmp_path / 'a.conll'}'", f"line 7 of '{tmp_path / 'a.conll'}'")
    labels = conll.label_names()
    assert labels.names == ("B-person", "B-place", "I-place", "O")
    assert conll.targets(labels) == [[1, 2], [0, 3]]


def test_rows_split_by_their_text(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("\n\n".join(f"word{number} O" for number in range(40)))
    rows = read_tagged(tmp_path / "a.conll")
    shares = {"train": 0.5, "test": 0.5}
    parts = rows.split(shares)
    assert sum(map(len, parts.values())) == 40
    for part, chosen in parts.items():
        assert all(stable_split(text, shares) == part for text in chosen.texts)
    assert len(rows.select([])) == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.conll", "word O\nalone\n", "'alone' in line 2"),
        ("a.conll", "\n\n", "Received: none"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}', "2 words and 1 tags"),
        ("a.jsonl", '{"tokens": [], "tags": []}', "0 words"),
        ("a.jsonl", '{"tokens": ["a b"], "tags": ["O"]}', "without white space"),
        ("a.jsonl", '{"tokens": "a", "tags": ["O"]}', "lists of strings"),
        ("a.jsonl", '{"tokens": ["a"]}', "without 'tags'"),
    ],
)
def test_what_is_no_tagged_text(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInputError, match="Received: ") as error:
        read_tagged(tmp_path / name)
    assert words in str(error.value)


def test_an_unseen_tag_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(CONLL)
    rows = read_tagged(tmp_path / "a.conll")
    with pytest.raises(BadInputError, match="'B-person' in line 7"):
        rows.targets(rows.select([0]).label_names())
