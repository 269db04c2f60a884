"""The demo's corpus: clean sentences, real labels, and nothing of the held-out text in the pretraining text."""

import csv
import hashlib

import pytest

from kerasbert.data import read_documents, segment_pairs, write_python_documentation
from kerasbert.data.pretraining.docstring_sentences import sentences
from kerasbert.data.pretraining.python_documentation import standard_library_docstrings
from kerasbert.errors import BadInputError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_python_documentation(tmp_path_factory.mktemp("documentation"))


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_counts_written_rows(corpus):
    for part, path in corpus.texts.items():
        documents = list(read_documents(path))
        assert corpus.documents[part] == len(documents)
        assert corpus.sentences[part] == sum(map(len, documents))
        assert corpus.bytes[part] == path.stat().st_size
        assert all(len(document) >= 2 for document in documents)
    for part, path in corpus.labelled.items():
        assert sum(corpus.labels[part].values()) == len(rows_of(path))
    assert corpus.duplicates_removed > 100
    assert corpus.docstrings > 5_000  # the smallest installation, Debian's python3, has 5,400


def test_it_is_large_enough_to_learn_from(corpus):
    assert corpus.bytes["train"] > 1_000_000
    assert corpus.documents["train"] > 300
    assert corpus.documents["held_out"] > 100
    assert sum(corpus.labels["train"].values()) > 1_500


def test_the_labels_are_the_largest_packages_and_the_same_in_each_part(corpus):
    assert 12 <= len(corpus.labels["train"]) <= 20
    assert set(corpus.labels["train"]) == set(corpus.labels["validation"]) == set(corpus.labels["test"])
    assert {"asyncio", "email", "unittest", "xml", "logging"} <= set(corpus.labels["train"])
    assert not any(label.startswith("_") or label in ("test", "site-packages") for label in corpus.labels["train"])
    assert min(corpus.labels["test"].values()) >= 3


def test_nothing_held_out_is_in_the_pretraining_text(corpus):
    train = corpus.texts["train"].read_text(encoding="utf-8")
    lines = set(train.splitlines())
    for part in ("validation", "test"):
        for row in rows_of(corpus.labelled[part]):
            assert row["text"] not in train
            assert not set(sentences(row["text"])) & lines
    held_out = corpus.texts["held_out"].read_text(encoding="utf-8").splitlines()
    assert not lines & {line for line in held_out if line}


def test_no_text_is_repeated(corpus):
    texts = [row["text"] for path in corpus.labelled.values() for row in rows_of(path)]
    assert len(texts) == len(set(texts))
    assert all(len(text.split()) >= 3 for text in texts)


def test_the_same_interpreter_gives_the_same_bytes(corpus, tmp_path):
    again = write_python_documentation(tmp_path)
    for old, new in zip(
        [*corpus.texts.values(), *corpus.labelled.values()],
        [*again.texts.values(), *again.labelled.values()],
        strict=True,
    ):
        assert old.name == new.name
        assert hashlib.sha256(old.read_bytes()).digest() == hashlib.sha256(new.read_bytes()).digest()


def test_next_sentence_pairs_can_be_made_from_it(corpus):
    def tokenize(lines):
        return [list(range(len(line.split()))) for line in lines]

    for path in corpus.texts.values():
        pairs = list(segment_pairs(read_documents(path), tokenize, max_tokens=125, seed=0, dupe_factor=1))
        share = sum(pair.is_random_next for pair in pairs) / len(pairs)
        assert 0.45 < share < 0.7


def test_docstrings_of_public_modules_are_found(tmp_path, monkeypatch):
    """Public modules only, in the order of their names and source, nested functions too; nothing is imported."""
    module = '"""Module {0}."""\nraise SystemExit\nclass A:\n    """Class {0}."""\n    def f():\n        """Inner\n\n'
    module += (
        '        {0}."""\ndef empty():\n    "   "\ntry:\n    pass\nexcept E:\n    async def g(): "Late \\d {0}."\n'
    )
    names = ("b", "a/__init__", "a/c", "_private", "a/_private", "test/x", "a/tests/x", "site-packages/y", "a/__main__")
    for name in (*names, "lib-dynload/z"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module.format(name))
    (tmp_path / "template.py").write_text("def %s(): pass")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    docstrings = list(standard_library_docstrings())
    assert [docstring.module for docstring in docstrings[::4]] == ["a", "a.__main__", "a.c", "b"]
    assert [docstring.text for docstring in docstrings[-4:]] == ["Module b.", "Class b.", "Inner\n\nb.", "Late \\d b."]
    assert {docstring.package for docstring in docstrings} == {"a", "b"}


def test_a_python_without_source_files(tmp_path, monkeypatch):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(BadInputError, match=r"source files are needed. Received: '.*', which contains none"):
        list(standard_library_docstrings())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return a thing.", ["Return a thing."]),
        (
            "A first sentence that is wrapped, because\nit is long. A second one (e.g. this one) follows; cf. Smith\n"
            "and Jones.",
            [
                "A first sentence that is wrapped, because it is long.",
                "A second one (e.g. this one) follows; cf. Smith and Jones.",
            ],
        ),
        ("Arguments:\n\n  name -- the name of it\n  size -- the size, which\n          must be even", [
            "name -- the name of it", "size -- the size, which must be even",
        ]),
        ("Adds two numbers.\n\n>>> add(1,\n...     2)\n3\n\nThe end of it.", ["Adds two numbers.", "The end of it."]),
        ("The title here\n==============\n\n- one item of it\n- another item here", [
            "The title here", "- one item of it", "- another item here",
        ]),
        ("+---+---+\n| a | b |\n+---+---+", []),
        ("", []),
        ("It was version 3. No, it was not.", ["It was version 3.", "No, it was not."]),
        ("Is it there? Yes, it is! \"Quoted sentence here.\" Another one there.", [
            "Is it there?", "Yes, it is!", '"Quoted sentence here."', "Another one there.",
        ]),
    ],
)  # fmt: skip
def test_sentences(text, expected):
    assert sentences(text) == expected
