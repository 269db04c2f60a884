"""Tagged words from CoNLL's columns and from lists in JSONL."""

import json
from pathlib import Path

import pytest

from kerasbert.data.stable_split import stable_split
from kerasbert.data.tables.tagged import read_tagged
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


def test_a_no_break_space_is_part_of_a_word(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Le  X\tO\n10\u00a0000\tB-NUM \n\u3000 O\n\u00a0\nNon\u202f! O")
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"tokens": ["Le", "10\u00a0000", "\u3000"], "tags": ["O", "B-NUM", "O"]})
    )
    conll, lists = read_tagged(tmp_path / "a.conll"), read_tagged(tmp_path / "a.jsonl")
    assert conll.words == (("Le", "10\u00a0000", "\u3000"), ("Non\u202f!",))
    assert conll.tags == (("O", "B-NUM", "O"), ("O",))
    assert (lists.words[0], lists.tags[0]) == (conll.words[0], conll.tags[0])
    assert tuple(tuple(text.split(" ")) for text in conll.texts) == conll.words


def test_rows_split_by_their_text(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("\n\n".join(f"word{number} O" for number in range(40)))
    rows = read_tagged(tmp_path / "a.conll")
    shares = {"train": 0.5, "test": 0.5}
    parts = rows.split(shares)
    assert sum(map(len, parts.values())) == 40
    assert [len(part) for part in parts.values()] == [20, 20]
    assert sum(stable_split(text, shares) == "test" for text in parts["test"].texts) >= 15
    assert len(rows.select([])) == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.conll", "word O\nalone\n", "'alone' in line 2"),
        ("a.conll", "\n\n", "Received: none"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}', "2 words and 1 tags"),
        ("a.jsonl", '{"tokens": [], "tags": []}', "0 words"),
        *(
            ("a.jsonl", f'{{"tokens": ["{word}"], "tags": ["O"]}}', "contain no blank")
            for word in ("a b", "a\\tb", " ", "")
        ),
        ("a.jsonl", '{"tokens": "a", "tags": ["O"]}', "lists of strings"),
        ("a.jsonl", '{"tokens": ["a"]}', "without 'tags'"),
    ],
)
def test_invalid_tagged_texts_are_refused(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInputError, match="Received: ") as error:
        read_tagged(tmp_path / name)
    assert words in str(error.value)


def test_an_unknown_tag_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(CONLL)
    rows = read_tagged(tmp_path / "a.conll")
    with pytest.raises(BadInputError, match="'B-person' in line 7"):
        rows.targets(rows.select([0]).label_names())


def test_half_a_surrogate_pair_in_json(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": ["a\\ud800b", "c"], "tags": ["O", "\\udc00"]}\n', encoding="utf-8")
    tagged = read_tagged(path)
    assert tagged.words == (("a\ufffdb", "c"),)
    assert tagged.tags == (("O", "\ufffd"),)
