"""Reading byte ranges gives each document of the files exactly once."""

import gzip
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.data import ReadReport, TableFormat, find_text_files, read_documents
from kerasbert.errors import BadInputError
from kerasbert_tfx.records import text_ranges
from kerasbert_tfx.records.input_files import find_files, folder_and_pattern, matching_files
from kerasbert_tfx.records.text_ranges import find_ranges, read_range


def read_in_ranges(path: Path, range_bytes: int) -> list[list[str]]:
    return [document for part in find_ranges(str(path), range_bytes) for document in read_range(part)]


@given(
    pieces=st.lists(
        st.sampled_from(["a", "bc d", "é", "\n", "\n\n", "\r\n", "\r", " ", "\t", "\u00a0", "\n \n"]), min_size=1
    ),
    range_bytes=st.integers(1, 9),
)
def test_all_ranges_together_give_each_document_once(
    pieces: list[str], range_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(("first\n" + "".join(pieces)).encode())
    assert read_in_ranges(path, range_bytes) == list(read_documents(path))


def test_document_boundaries_are_found_for_any_block_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\ntwo\r\n \t \r\nthree\n" + b"\n" * 50 + b"four\r\rfive")
    expected = list(read_documents(path))
    assert len(expected) == 4
    for block in (1, 2, 3, 7):
        monkeypatch.setattr(text_ranges, "_SCAN_BYTES", block)
        for range_bytes in (1, 2, 5, 13, 1000):
            assert read_in_ranges(path, range_bytes) == expected


def test_a_gzipped_file_is_one_range(tmp_path: Path) -> None:
    text = "one\ntwo\n\nthree\nfour\n"
    path = tmp_path / "text.dat"
    path.write_bytes(gzip.compress(text.encode()))
    (whole,) = find_ranges(str(path), 4)
    assert list(read_range(whole)) == [["one", "two"], ["three", "four"]]


def test_each_row_of_a_table_is_a_document(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('id,body\n1,"one\ntwo\n\nstill one"\n2,"three, four"\n')
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"body": "one\\ntwo"}\n{"body": "three"}\n')
    (csv_range,) = find_ranges(str(table), 4, "body")
    (json_range,) = find_ranges(str(lines), 4, "body")
    assert list(read_range(csv_range, "body")) == [["one", "two", "still one"], ["three, four"]]
    assert list(read_range(json_range, "body")) == [["one", "two"], ["three"]]
    with pytest.raises(BadInputError, match="Columns there: 'id', 'body'"):
        list(read_range(csv_range, "text"))


def test_text_column_is_required_for_tables_and_rejected_for_text(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\nx\n")
    with pytest.raises(BadInputError, match="without `text_column`"):
        find_ranges(str(tmp_path / "rows.csv"), 10)
    (tmp_path / "plain.txt").write_text("x\n")
    with pytest.raises(BadInputError, match="`text_column` is for tables"):
        find_ranges(str(tmp_path / "plain.txt"), 10, "text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="none"):
        find_ranges(str(tmp_path / "empty"), 10)
    (tmp_path / "empty" / "file.txt").touch()
    with pytest.raises(BadInputError, match="all empty"):
        find_ranges(str(tmp_path / "empty"), 10)


def test_long_lines_and_invalid_bytes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"caf\xe9 au lait\n\n" + b"word " * 40_000 + b"\nend\n")
    report = ReadReport()
    read = [document for part in find_ranges(str(path), 50_000) for document in read_range(part, report=report)]
    assert read == list(read_documents(path))
    assert (report.invalid_lines, report.cut_lines, report.documents) == (1, 1, 2)


# === Files ===

NAMES = ("v1.2/a.csv", "v1.2/sub/b.csv", "v1.2/.hidden.csv", "v1.2/.hidden/c.csv", "plain/train", "v[0-9]/d.csv")
NAMES += ("v7/e.csv", "part-00001", "a[b].csv", "top.csv")


@pytest.mark.parametrize(
    "texts",
    [
        *(".", "..", "v1.2", "v1.2/", "plain/train", "plain", "v[0-9]", "v[0-9]/*", "v1.2/*", "part-0000?", "top.csv"),
        *("**/*.csv", "v1.2/**/*.csv", "*", "a[b].csv", "{}/v1.2", "{}/v1.2/*.csv", "{}/**/b.csv"),
    ],
)
def test_the_pipeline_reads_the_same_files_as_the_commands(
    texts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = texts.format(tmp_path / "here")
    for name in NAMES:
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    found = {Path(path).resolve() for path in matching_files(*folder_and_pattern(texts))}
    assert found == {path.resolve() for path in find_text_files(texts)}


def test_files_in_sub_folders_of_a_bucket_are_found_except_hidden_ones(tmp_path: Path) -> None:
    bucket = f"ram://{tmp_path.name}"
    for name in ("v1/a.csv", "v1/sub/b.csv", "v1/.hidden.csv", "v1/.hidden/c.csv"):
        tf.io.gfile.makedirs(f"{bucket}/{name}".rpartition("/")[0])
        with tf.io.gfile.GFile(f"{bucket}/{name}", "w") as file:
            file.write("x")

    def found(texts: str) -> list[str]:
        return [path.removeprefix(f"{bucket}/") for path in matching_files(*folder_and_pattern(texts))]

    assert found(f"{bucket}/v1") == ["v1/a.csv", "v1/sub/b.csv"]
    assert found(f"{bucket}/v1/a.csv") == ["v1/a.csv"]
    assert found(f"{bucket}/v1/a*") == ["v1/a.csv"]
    with pytest.raises(BadInputError, match="none"):
        find_files(f"{bucket}/v1/b*")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("gs://bucket/rows", ("gs://bucket/rows", "*")),
        ("gs://bucket/rows.csv", ("gs://bucket", "rows.csv")),
        ("gs://bucket/rows/*", ("gs://bucket/rows", "?*")),
        ("gs://bucket.example.com", ("gs://bucket.example.com", "*")),
        ("/gcs/bucket/rows/train.csv", ("/gcs/bucket/rows", "train.csv")),
        ("/gcs/bucket/rows", ("/gcs/bucket/rows", "*")),
    ],
)
def test_an_address_that_does_not_exist_is_a_file_if_it_has_an_extension(texts: str, expected: tuple[str, str]) -> None:
    assert folder_and_pattern(texts) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_file_that_is_not_utf8_is_one_range(tmp_path: Path, encoding: str) -> None:
    text = "\n".join(f"Größe {number}" if number % 5 else "" for number in range(1, 100))
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode(encoding))
    table_format = TableFormat(encoding=None if encoding == "utf-16" else encoding)
    (text_range,) = find_ranges(str(path), 100, table_format=table_format)
    found = list(read_range(text_range, table_format=table_format))
    assert found == list(read_documents(path, table_format=table_format))
    assert found[0][0] == "Größe 1"
    assert len(found) == 20
