"""Labelled texts from tables: formats, missing and broken rows, labels known and unknown."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kerasbert.data import Labels, ReadReport, read_labelled, read_texts
from kerasbert.errors import BadInputError

BANKING77 = Path(__file__).parents[3] / "shared" / "data" / "banking77"
ROWS = [("I like it", "pos"), ('She said "no", twice\nand left', "neg"), ("", "neg"), ("Größe\t漢字 \u2028", "pos")]


def write_table(path, rows, header=("text", "label")):
    packed = gzip.open if path.name.endswith(".gz") else open
    with packed(path, "wt", encoding="utf-8", newline="") as file:
        if ".jsonl" in path.name:
            file.writelines(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
        else:
            writer = csv.writer(file, delimiter="\t" if ".tsv" in path.name else ",")
            writer.writerows([header, *rows])
    return path


def write_text(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.tsv.gz", "a.jsonl.gz", "A.CSV"])
def test_all_formats_give_the_same_rows(tmp_path, name):
    rows = read_labelled(write_table(tmp_path / name, ROWS))
    assert list(zip(rows.texts, rows.labels, strict=True)) == ROWS
    assert rows.pairs is None
    assert rows.inputs == rows.texts
    assert rows.places[0].startswith(("line 1 of", "line 2 of"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")), st.sampled_from("xyz")),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]),
)
def test_any_text_comes_back(tmp_path_factory, rows, name):
    path = write_table(tmp_path_factory.mktemp("any") / name, rows)
    # Where every line could be a row, a TSV file is read without quotes.
    tabs = {line.count("\t") for line in path.read_text("utf-8").split("\n") if line}
    assume(name != "a.tsv" or tabs != {1} or not any("\n" in text for text, _ in rows))
    read = read_labelled(path)
    assert list(zip(read.texts, read.labels, strict=True)) == rows


def test_named_columns_and_pairs(tmp_path):
    path = write_table(
        tmp_path / "a.csv", [("1", "Is it?", "yes", "It is."), ("2", "Was it?", "no", "")], ("id", "q", "y", "p")
    )
    rows = read_labelled(path, text_column="q", label_column="y", pair_column="p")
    assert rows.inputs == (("Is it?", "Was it?"), ("It is.", ""))
    assert rows.labels == ("yes", "no")
    assert rows.places == (f"line 2 of '{path}'", f"line 3 of '{path}'")


def test_several_files_and_a_byte_order_mark(tmp_path):
    write_text(tmp_path / "a.csv", "\ufefftext,label\r\nOne,x\r\n\r\nTwo,y\r\n")
    write_table(tmp_path / "b.jsonl", [("Three", "x")])
    rows = read_labelled(tmp_path)
    assert rows.texts == ("One", "Two", "Three")
    assert rows.places[1].startswith("line 4 of")


def test_a_text_of_a_megabyte(tmp_path):
    text = "long text " * 100_000
    for name in ("a.csv", "a.jsonl"):
        assert read_labelled(write_table(tmp_path / name, [(text, "x")])).texts == (text,)


def test_tsv_without_quoting_as_in_glue_is_read(tmp_path):
    path = write_text(tmp_path / "a.tsv", 'text\tlabel\n"Unbalanced\tx\nHe "said"\ty\n"Quoted" begin\tx\n')
    assert read_labelled(path).texts == ('"Unbalanced', 'He "said"', '"Quoted" begin')


@pytest.mark.parametrize("order", [1, -1], ids=["text first", "label first"])
@pytest.mark.parametrize("gap", ["\n", "\r\n\r\n"])
def test_stray_quotes_in_tsv_join_no_rows(tmp_path, order, gap):
    rows = [("text", "label"), ('"Hello world', "1"), ("between", "0"), ('so he said "', "0"), ("foo", "1")]
    if order == -1:
        rows = [*rows[:3], ('so he said"', "0"), *rows[4:]]
    path = write_text(tmp_path / "a.tsv", gap.join("\t".join(row[::order]) for row in rows) + "\n")
    read = read_labelled(path)
    assert list(zip(read.texts, read.labels, strict=True)) == rows[1:]


def test_quoted_tsv_with_tabs_and_line_breaks(tmp_path):
    rows = [("two\nlines", "x"), ("a\ttab", "y"), ("both\tof\nthem\n\nhere", "x"), ("a\tb\nc", "y"), ('"said"', "x")]
    read = read_labelled(write_table(tmp_path / "a.tsv", rows))
    assert list(zip(read.texts, read.labels, strict=True)) == rows
    one_column = write_table(tmp_path / "b.tsv", [("two\nlines",), ("one",)], ("text",))
    assert read_texts(one_column).texts == ("two\nlines", "one")


def test_invalid_utf8_is_counted(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,label\nCaf\xe9,x\nTea,y\n")
    report = ReadReport()
    assert read_labelled(tmp_path / "a.csv", report=report).texts == ("Caf\ufffd", "Tea")
    assert (report.lines, report.invalid_lines, report.replaced_characters) == (2, 1, 1)


def test_half_a_surrogate_pair_in_json(tmp_path):
    path = write_text(tmp_path / "a.jsonl", '{"text": "a\\ud800b \\ud83d\\ude00", "label": "x\\udc00"}\n')
    rows = read_labelled(path)
    assert (rows.texts, rows.labels) == (("a\ufffdb 😀",), ("x\ufffd",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "body,label\nOne,x\n", r"without 'text'. Columns there: 'body', 'label'"),
        (
            "a.jsonl",
            '{"text": "One", "label": "x"}\n{"text": "Two"}\n',
            r"line 2 of .*without 'label'. Columns there: 't",
        ),
        ("a.csv", "text,label,text\nOne,x,y\n", "'text' twice"),
        ("a.csv", "text,label\nOne,x\nTwo,y,z\n", r"2 columns. Received: 3 values in line 3 of '.*a.csv'"),
        ("a.csv", 'text,label\n"One\nmore",x\nTwo\n', r"Received: 1 values in line 4 of"),
        ("a.csv", 'text,label\nOne,x\n"Two,y\nThree,x\n', r"Quotes must be well-formed.*begins on line 3"),
        ("a.csv", 'text,label\n"One" more,x\n', r"Quotes must be well-formed.*begins on line 2"),
        ("a.csv", "text,label\n", "at least one row"),
        ("a.jsonl", "\n\n", "at least one row"),
        ("a.csv", "", "without 'text'. Columns there: none"),
        ("a.jsonl", '{"text": "One", "label": "x"}\n{"text": \n', r"one JSON object. Received: line 2 of"),
        ("a.jsonl", '["One", "x"]\n', r"must be an object. Received: row 1 of .*a str"),
        ("a.jsonl", "[" * 100_000 + "\n", "one JSON object. Received: line 1 of"),
        (
            "a.jsonl",
            '{"text": "One", "label": 1' + "0" * 5000 + "}\n",
            "at most .* digits. Received: more digits in line 1",
        ),
        ("a.jsonl", '{"text": 3, "label": "x"}\n', r"must contain texts. Received: 3 in line 1"),
        ("a.jsonl", '{"text": null, "label": "x"}\n', r"must contain texts. Received: null in line 1"),
        ("a.csv", "text,label\nOne,x\nTwo, \n", r"label in column 'label'. Received: .* in line 3 of"),
        ("a.jsonl", '{"text": "One", "label": null}\n', r"label in column 'label'. Received: no label in line 1"),
        ("a.jsonl", '{"text": "One", "label": ["x"]}\n', r"label in column 'label'. Received: \[\"x\"\] in line 1"),
        ("a.xlsx", "text,label\n", r"must end in .csv, .tsv or .jsonl"),
        ("a.csv", "text,label\nOne\0,x\n", "binary"),
    ],
)
def test_broken_tables(tmp_path, name, content, message):
    path = write_text(tmp_path / name, content)
    with pytest.raises(BadInputError, match=message):
        read_labelled(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(BadInputError, match="which does not"):
        read_labelled(tmp_path / "missing.csv")


# === Labels ===


def test_labels_are_learned_from_training_in_a_stable_order():
    assert Labels.from_training(["b", "a", "b", "ä", "C"]).names == ("C", "a", "b", "ä")
    assert Labels.from_training(["10", "9", "-1", "x"]).names == ("-1", "9", "10", "x")
    assert Labels.from_training(["2" * 5000, "10", "-" + "3" * 5000]).names == ("-" + "3" * 5000, "10", "2" * 5000)
    assert Labels.from_training([("b", "a"), (), ("c",)]).names == ("a", "b", "c")
    assert list(Labels(["z", "a"])) == ["z", "a"]
    assert len(Labels(["z", "a"])) == 2
    assert Labels(["z", "a"]) == Labels(("z", "a")) != Labels(["a", "z"])


def test_an_unknown_label_is_named_with_its_row_and_the_known_labels(tmp_path):
    train = read_labelled(write_table(tmp_path / "train.csv", [("One", "pos"), ("Two", "neg")]))
    test = read_labelled(write_table(tmp_path / "test.csv", [("Three", "pos"), ("Four", "neutral")]))
    labels = train.label_names()
    assert train.targets(labels).tolist() == [1, 0]
    assert train.targets(labels).dtype == np.int32
    with pytest.raises(BadInputError, match=r"'neutral' in line 3 of '.*test.csv'. Known labels: 'neg', 'pos'"):
        test.targets(labels)
    with pytest.raises(BadInputError, match="'maybe' in row 2"):
        labels.ids(["pos", "maybe"])


def test_many_known_labels_are_cut_short():
    with pytest.raises(BadInputError, match=r"'label 19' and 80 more"):
        Labels(f"label {index}" for index in range(100)).id_of("x")


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["a", "a"], r"at least two classes. Received: 2 rows, all labelled 'a'"), ([], "none"), ([()], "none")],
)
def test_labels_that_cannot_be_learned(labels, message):
    with pytest.raises(BadInputError, match=message):
        Labels.from_training(labels)


def test_label_names_must_differ():
    with pytest.raises(BadInputError, match="must differ"):
        Labels(["a", "a"])


def test_labels_that_are_numbers_in_json(tmp_path):
    path = write_table(tmp_path / "a.jsonl", [("One", 1), ("Two", True), ("Three", "1")])
    assert read_labelled(path).labels == ("1", "true", "1")


def test_multi_label(tmp_path):
    arguments = {"problem_type": "multi_label_classification"}
    table = write_table(tmp_path / "a.csv", [("One", "red; blue"), ("Two", ""), ("Three", "blue;blue")])
    lines = write_table(tmp_path / "a.jsonl", [("One", ["red", "blue"]), ("Two", []), ("Three", ["blue"])])
    for path in (table, lines):
        rows = read_labelled(path, **arguments)
        labels = rows.label_names()
        assert labels.names == ("blue", "red")
        assert rows.targets(labels).tolist() == [[1, 1], [0, 0], [1, 0]]
        assert rows.targets(labels).dtype == np.float32
    other = read_labelled(write_table(tmp_path / "b.csv", [("One", "red|green")]), label_separator="|", **arguments)
    with pytest.raises(BadInputError, match="'green' in line 2 of"):
        other.targets(labels)
    with pytest.raises(BadInputError, match="no label in line 1"):
        read_labelled(write_table(tmp_path / "c.jsonl", [("One", None)]), **arguments)


def test_regression(tmp_path):
    path = write_table(tmp_path / "a.csv", [("One", "3.5"), ("Two", " -1e2 ")])
    rows = read_labelled(path, problem_type="regression")
    assert rows.targets().tolist() == [3.5, -100.0]
    assert rows.targets().dtype == np.float32
    for value in ("many", "", "nan", "inf", "1e39", "-3.5e38", "1e400"):
        path = write_table(tmp_path / "b.csv", [("One", "1"), ("Two", value)])
        with pytest.raises(BadInputError, match=rf"finite numbers.*Received: '{value}' in line 3 of"):
            read_labelled(path, problem_type="regression")
    largest = write_table(tmp_path / "d.csv", [("One", "3.4028234e38"), ("Two", "-3.4028234e38")])
    assert np.isfinite(read_labelled(largest, problem_type="regression").targets()).all()
    path = write_table(tmp_path / "e.jsonl", [("One", 1), ("Two", 10**400)])
    with pytest.raises(BadInputError, match=r"finite numbers.*Received: 10{79} in line 2 of"):
        read_labelled(path, problem_type="regression")
    with pytest.raises(BadInputError, match="Received: True in line 1"):
        read_labelled(write_table(tmp_path / "c.jsonl", [("One", True)]), problem_type="regression")


def test_wrong_arguments(tmp_path):
    path = write_table(tmp_path / "a.csv", ROWS)
    with pytest.raises(ValueError, match="`problem_type` must be one of"):
        read_labelled(path, problem_type="ranking")
    with pytest.raises(ValueError, match="`labels` must be given"):
        read_labelled(path).targets()
    with pytest.raises(ValueError, match="rows with labels"):
        read_texts(path).targets(Labels(["a"]))


# === Splits and bare texts ===


def test_a_split_keeps_equal_texts_together(tmp_path):
    rows = [(f"text {index % 500}", "xy"[index % 2]) for index in range(1000)]
    whole = read_labelled(write_table(tmp_path / "a.csv", rows))
    half = read_labelled(write_table(tmp_path / "b.csv", rows[:250]))
    fractions = {"train": 0.9, "validation": 0.1}
    parts = whole.split(fractions)
    assert sum(map(len, parts.values())) == 1000
    assert not set(parts["train"].texts) & set(parts["validation"].texts)
    assert set(half.split(fractions)["validation"].texts) <= set(parts["validation"].texts)
    assert parts["validation"].targets(whole.label_names()).shape == (len(parts["validation"]),)


def test_unlabelled_texts_line_by_line(tmp_path):
    path = write_text(tmp_path / "a.txt", "One\n\n  Three \u2028x\r\nFour")
    texts = read_texts(path)
    assert texts.texts == ("One", "", "  Three \u2028x", "Four")
    assert texts.labels is None
    assert texts.places[1] == f"line 2 of '{path}'"
    with pytest.raises(BadInputError, match="at least one line"):
        read_texts(write_text(tmp_path / "b.txt", ""))


def test_unlabelled_texts_from_tables(tmp_path):
    path = write_table(tmp_path / "a.csv", [("One", "Two"), ("", "Four")], ("text", "other"))
    assert read_texts(path).texts == ("One", "")
    assert read_texts(path, "other").texts == ("Two", "Four")
    assert read_texts(path, "other", "text").inputs == (("Two", "Four"), ("One", ""))
    with pytest.raises(BadInputError, match="without 'body'"):
        read_texts(path, "body")


@pytest.mark.skipif(not BANKING77.exists(), reason="../shared/data is absent")
def test_banking77():
    train, test = (
        read_labelled(BANKING77 / name, text_column="text", label_column="category")
        for name in ("train.csv", "test.csv")
    )
    labels = train.label_names()
    assert (len(train), len(test), len(labels)) == (10_003, 3_080, 77)
    assert np.bincount(test.targets(labels)).tolist() == [40] * 77
