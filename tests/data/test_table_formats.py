"""Tables as people have them: delimiters, encodings, headers, JSON layouts, printed lists, and files of other kinds."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.data import ReadReport, TableFormat, read_documents, read_labelled, read_lines, read_texts
from kerasbert.data.tables.delimited_rows import QuoteError, split_rows
from kerasbert.data.tables.printed_lists import printed_list
from kerasbert.data.text_encoding import likely_encoding
from kerasbert.data.text_files import find_text_files
from kerasbert.errors import BadInputError

ROWS = [("le café, très bon", "positif"), ("la soirée\nétait ratée", "négatif"), ('"bof"; dit-il | peu', "négatif")]


def delimited(delimiter, rows=ROWS, header=("texte", "étiquette")):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerows([header, *rows] if header else rows)
    return written.getvalue()


def read(path, **options):
    rows = read_labelled(path, "texte", "étiquette", **options)
    return list(zip(rows.texts, rows.labels, strict=True))


# === Delimiters ===


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_detected_and_reported(tmp_path, name, delimiter):
    path = tmp_path / name
    path.write_text(delimited(delimiter), "utf-8", newline="")
    report = ReadReport()
    assert read(path, report=report) == ROWS
    usual = {"a.csv": ",", "a.tsv": "\t"}[name]
    assert bool(report.warning()) == (delimiter != usual)


@pytest.mark.parametrize("first_line", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;"])
def test_a_separator_line_is_followed(tmp_path, first_line):
    (tmp_path / "a.csv").write_text(f"{first_line}\r\n" + delimited(";"), "utf-8", newline="")
    assert read(tmp_path / "a.csv") == ROWS
    (tmp_path / "b.csv").write_text("sep=;\ntexte;étiquette\na;b;c\n", "utf-8")
    with pytest.raises(BadInputError, match="3 values in line 3 of"):
        read(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("name", "delimiter"), [("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("|", "|"), ("\\t", "\t")]
)
def test_a_delimiter_that_is_given_needs_no_ending(tmp_path, name, delimiter):
    (tmp_path / "a.dat").write_text(delimited(delimiter), "utf-8", newline="")
    assert read(tmp_path / "a.dat", table_format=TableFormat(delimiter=name)) == ROWS
    with pytest.raises(BadInputError, match="delimiter='comma'"):
        read(tmp_path / "a.dat")


@pytest.mark.parametrize(
    "values", [{"delimiter": "ab"}, {"delimiter": ""}, {"encoding": "nonsense"}, {"encoding": "hex"}]
)
def test_a_format_that_cannot_be(values):
    (name,) = values
    with pytest.raises(BadInputError, match=f"`{name}` must be"):
        TableFormat(**values)


def test_commas_within_texts_do_not_make_columns(tmp_path):
    (tmp_path / "a.csv").write_text("id;text;label\n1;a, b, c;x\n2;d, e;y\n")
    assert read_labelled(tmp_path / "a.csv").texts == ("a, b, c", "d, e")
    (tmp_path / "b.csv").write_text("text\na; b\nc\n")
    assert read_texts(tmp_path / "b.csv").texts == ("a; b", "c")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab",\n', max_size=20))
def test_rows_are_those_of_pythons_csv_reader(text):
    lines = text.split("\n")
    try:
        expected = [row for row in csv.reader((line + "\n" for line in lines), strict=True) if row]
    except csv.Error:
        with pytest.raises(QuoteError):
            list(split_rows(lines, ","))
        return
    assert [row for _, row in split_rows(lines, ",")] == expected


def test_a_long_value_leaves_pythons_limit_alone(tmp_path):
    before = csv.field_size_limit()
    text = "long text " * 100_000
    (tmp_path / "a.csv").write_text(f'text,label\n"{text}",x\n')
    assert read_labelled(tmp_path / "a.csv").texts == (text,)
    assert csv.field_size_limit() == before


# === Encodings ===


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(tmp_path, encoding):
    (tmp_path / "a.csv").write_text(delimited(","), encoding, newline="")
    assert read(tmp_path / "a.csv") == ROWS
    assert read(tmp_path / "a.csv", table_format=TableFormat(encoding="cp1252")) == ROWS
    (tmp_path / "a.txt").write_text("eins\nzwei ä\n", encoding)
    assert list(read_lines(tmp_path / "a.txt")) == ["eins", "zwei ä"]


SENTENCES = {
    "cp1252": "le café est très bon, la soirée était ratée",
    "cp1251": "Привет, как дела? Это очень хороший фильм о любви",
    "koi8-r": "Привет, как дела? Это очень хороший фильм о любви",
    "cp1250": "Zażółć gęślą jaźń, dziękuję bardzo, proszę",
    "cp1253": "Αυτή είναι μια καλή ταινία στην Αθήνα",
    "cp1254": "Bu güzel bir film, çok beğendim ışık şehir",
    "shift_jis": "これは良い映画です。東京に住んでいます。",
    "gb18030": "这是一部好电影。我住在北京。",
    "big5": "這是一部好電影。我住在台北。",
    "euc_kr": "이것은 좋은 영화입니다. 서울에 살아요.",
    "utf-16-le": "a plain text of some length",
    "utf-16-be": "a plain text of some length",
}


@pytest.mark.parametrize("encoding", SENTENCES)
def test_another_encoding_is_named_and_reading_with_it_works(tmp_path, encoding):
    rows = [(f"{SENTENCES[encoding]} {number}", "xy"[number % 2]) for number in range(20)]
    path = tmp_path / "a.csv"
    path.write_bytes(delimited(",", rows, ("texte", "étiquette" if encoding == "cp1252" else "label")).encode(encoding))
    with pytest.raises(BadInputError, match="Read it with `encoding=") as caught:
        read_labelled(path, "texte", "label")
    named = str(caught.value).partition("`encoding='")[2].partition("'")[0]
    label = "étiquette" if encoding == "cp1252" else "label"
    with_it = read_labelled(path, "texte", label, table_format=TableFormat(encoding=named))
    assert list(zip(with_it.texts, with_it.labels, strict=True)) == rows
    (tmp_path / "a.txt").write_bytes("\n".join(text for text, _ in rows).encode(encoding))
    assert list(read_lines(tmp_path / "a.txt", table_format=TableFormat(encoding=named))) == [text for text, _ in rows]
    with pytest.raises(BadInputError, match="`encoding="):
        list(read_lines(tmp_path / "a.txt"))


def test_quotation_marks_of_windows_are_western():
    assert likely_encoding("It’s a “good” film – really".encode("cp1252")) == "cp1252"
    assert likely_encoding("Grüße aus Köln".encode("cp1252")) == "cp1252"


def test_few_lines_in_another_encoding_are_replaced_and_reported(tmp_path):
    lines = ["plain"] * 20 + ["café"]
    (tmp_path / "a.txt").write_bytes("\n".join(lines).encode("cp1252"))
    report = ReadReport()
    assert list(read_lines(tmp_path / "a.txt", report))[-1] == "caf\ufffd"
    assert "encoding='cp1252'" in report.warning()
    assert "1 of 21 lines" in report.warning()
    (tmp_path / "b.txt").write_bytes("\n".join([*lines, "schön", "grün"]).encode() + b"\n\xff")
    assert list(read_lines(tmp_path / "b.txt", report := ReadReport()))[-1] == "\ufffd"
    assert "encoding" not in report.warning()


def test_a_file_that_turns_to_another_encoding_after_a_megabyte_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"plain " * 200_000 + b"\n" + "très\n".encode("cp1252") * 10)
    with pytest.raises(BadInputError, match="invalid characters in 10 of its 11 lines"):
        read_texts(tmp_path / "a.txt")


def test_a_gzipped_file_in_another_encoding(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt", encoding="cp1252", newline="") as file:
        file.write(delimited(";"))
    assert read(tmp_path / "a.csv.gz", table_format=TableFormat(encoding="cp1252")) == ROWS


# === Headers ===


def test_columns_by_number_without_a_header(tmp_path):
    table_format = TableFormat(has_header=False)
    for delimiter in ",;\t|":
        (tmp_path / "a.csv").write_text(delimited(delimiter, header=None), "utf-8", newline="")
        rows = read_labelled(tmp_path / "a.csv", "1", "2", table_format=table_format)
        assert list(zip(rows.texts, rows.labels, strict=True)) == ROWS
    assert read_texts(tmp_path / "a.csv", table_format=table_format).texts == tuple(text for text, _ in ROWS)
    for column, message in (("3", "column 3 of 2"), ("text", "counted from 1.*text_column='text'"), ("0", "from 1")):
        with pytest.raises(BadInputError, match=message):
            read_texts(tmp_path / "a.csv", column, table_format=table_format)


def test_a_missing_column_says_what_to_set(tmp_path):
    (tmp_path / "a.csv").write_text("body,class\nOne,x\n")
    with pytest.raises(BadInputError, match=r"Columns there: 'body', 'class'. Set `text_column` to one of these.$"):
        read_labelled(tmp_path / "a.csv")
    with pytest.raises(BadInputError, match=r"without 'label'.*Set `label_column`"):
        read_labelled(tmp_path / "a.csv", "body")
    (tmp_path / "b.csv").write_text("I like this film very much,1\nI do not,0\n")
    with pytest.raises(BadInputError, match="has_header=False"):
        read_labelled(tmp_path / "b.csv")


# === JSON ===

OBJECTS = [{"text": "one", "label": 0}, {"text": "two\n", "label": 1}, {"text": "three", "label": 0}]
COLUMNS = {name: [row[name] for row in OBJECTS] for name in ("text", "label")}


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "value",
    [
        OBJECTS,
        {"data": OBJECTS, "version": "1"},
        COLUMNS,
        {name: {str(index): value for index, value in enumerate(values)} for name, values in COLUMNS.items()},
        {str(index): row for index, row in enumerate(OBJECTS)},
        {"columns": ["text", "label"], "index": [0, 1, 2], "data": [list(row.values()) for row in OBJECTS]},
    ],
    ids=["array", "array in an object", "columns", "pandas", "rows by name", "pandas split"],
)
def test_json_of_one_document(tmp_path, name, indent, value):
    (tmp_path / name).write_text(json.dumps(value, indent=indent))
    rows = read_labelled(tmp_path / name)
    assert rows.texts == ("one", "two\n", "three")
    assert rows.labels == ("0", "1", "0")
    assert rows.places[1] == f"row 2 of '{tmp_path / name}'"


def test_json_lines_with_lists_stay_rows(tmp_path):
    (tmp_path / "a.json").write_text('\n{"text": "one", "label": ["a", "b"]}\n\n{"text": "two", "label": []}\n')
    rows = read_labelled(tmp_path / "a.json", problem_type="multi_label_classification")
    assert rows.labels == (("a", "b"), ())
    (tmp_path / "b.json").write_text('{"text": "one", "label": "a"}')
    assert read_labelled(tmp_path / "b.json").texts == ("one",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["a", "b"]', "row 1 of .*a str"),
        ("[[1, 2], [3, 4]]", "must be an object.*a list"),
        ('[{"text": "a"}, 3]', "without 'label'"),
        ('[{"text": "a", "label": 1},\n{"text": "b", "label": 2}', "one object per line, or one array.*line 2 of"),
        ("[]", "at least one row"),
        ('{"text": "a", "label"', "line 1 of"),
        ("3", "must be an object"),
    ],
)
def test_json_that_has_no_rows(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(BadInputError, match=message):
        read_labelled(tmp_path / "a.json")


# === Labels that are printed lists ===


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['a', 'b']", ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("['a' 'b']", ("a", "b")),
        ("{'a'}", ("a",)),
        ("('a', \"it's\")", ("a", "it's")),
        ("[]", ()),
        ("[1, 2]", ("1", "2")),
        ("array(['a', 'b'], dtype=object)", ("a", "b")),
        ("a;b", ("a", "b")),
        ("[noise]; b", ("[noise]", "b")),
    ],
)
def test_printed_lists_of_labels(tmp_path, cell, labels):
    path = tmp_path / "a.csv"
    path.write_text(delimited(",", [("One", cell), ("Two", "c")], ("text", "label")), newline="")
    assert read_labelled(path, problem_type="multi_label_classification").labels == (labels, ("c",))


def test_printed_lists_where_one_label_is_wanted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(delimited(",", [("One", "['a']"), ("Two", "[noise]")], ("text", "label")), newline="")
    assert read_labelled(path).labels == ("a", "[noise]")
    path.write_text(delimited(",", [("One", "['a', 'b']")], ("text", "label")), newline="")
    with pytest.raises(BadInputError, match=r"line 2 of .*task='multi_label_classification'"):
        read_labelled(path)
    for cell in ("[a, b]", "['a' ... 'z']"):
        path.write_text(delimited(",", [("One", cell)], ("text", "label")), newline="")
        with pytest.raises(BadInputError, match="must have its items in quotes"):
            read_labelled(path, problem_type="multi_label_classification")


@given(st.lists(st.text(max_size=8), max_size=4))
def test_lists_printed_by_python_come_back(items):
    assert printed_list(repr(items)) == items
    assert printed_list(json.dumps(items)) == items


# === Tables as text, and files that are no text ===


def test_a_table_is_not_read_as_plain_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"One.\nTwo.\n\nThree."\n2,Four.\n')
    for reader in (read_lines, read_documents):
        with pytest.raises(BadInputError, match="a table, without `text_column`"):
            list(reader(path))
    assert list(read_lines(path, text_column="text")) == ["One.", "Two.", "Three.", "Four."]
    report = ReadReport()
    assert list(read_documents(path, report, text_column="text")) == [["One.", "Two.", "Three."], ["Four."]]
    assert report.documents == 2
    (tmp_path / "a.txt").write_text("One.")
    with pytest.raises(BadInputError, match="`text_column` is for tables"):
        list(read_lines(tmp_path / "a.txt", text_column="text"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
        ("a.csv", b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        ("a.xlsx", b"PK\x03\x04\x14\0\0\0", "Excel workbook. Save it as CSV"),
        ("a.txt", b"PK\x03\x04\x14\0\0\0", "ZIP archive"),
        ("a.txt", b"PAR1\x15\x04\0", "Parquet"),
        ("a.txt", b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        ("a.txt", b"BZh91AY&SY\0", "bunzip2"),
        ("a.txt", b"x" * 257 + b"ustar\x0000", "tar archive"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    reader = read_labelled if name == "a.csv" else read_texts
    with pytest.raises(BadInputError, match=message):
        reader(tmp_path / name)


def test_texts_that_begin_like_other_files(tmp_path):
    (tmp_path / "a.txt").write_text("PAR1 is a gene.\n\nBZh and Rar! are magic numbers.\n")
    assert len(list(read_documents(tmp_path / "a.txt"))) == 2


# === Paths ===


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "a?.csv", "a b#%20ö漢.csv", "-a.csv", "[abc].csv"])
def test_an_existing_file_is_read_whatever_its_name(tmp_path, name):
    folder = tmp_path / "runs [2026] *"
    folder.mkdir()
    (folder / name).write_text("text,label\nOne,x\n")
    (folder / "a1.csv").write_text("text,label\nOther,y\n")
    assert read_labelled(folder / name).texts == ("One",)
    assert read_labelled(f"{folder / name}/").texts == ("One",)
    assert find_text_files(folder) == sorted([folder / name, folder / "a1.csv"])
    assert find_text_files(folder / "a[1].cs[v]") == [folder / "a1.csv"]
    assert folder / name in find_text_files(folder / "*.csv")
