"""Ranges of bytes give the documents that reading whole files gives, each once."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.data import ReadReport, read_documents
from kerasbert.errors import BadInputError
from kerasbert_tfx.modules import text_ranges
from kerasbert_tfx.modules.text_ranges import find_ranges, read_range


def read_in_ranges(path: Path, range_bytes: int) -> list[list[str]]:
    return [document for part in find_ranges(str(path), range_bytes) for document in read_range(part)]


@given(
    pieces=st.lists(
        st.sampled_from(["a", "bc d", "é", "\n", "\n\n", "\r\n", "\r", " ", "\t", "\u00a0", "\n \n"]), min_size=1
    ),
    range_bytes=st.integers(1, 9),
)
def test_any_cut_gives_the_documents_of_the_whole_file(
    pieces: list[str], range_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(("first\n" + "".join(pieces)).encode())
    assert read_in_ranges(path, range_bytes) == list(read_documents(path))


def test_blocks_of_the_search_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\ntwo\r\n \t \r\nthree\n" + b"\n" * 50 + b"four\r\rfive")
    expected = list(read_documents(path))
    assert len(expected) == 4
    for block in (1, 2, 3, 7):
        monkeypatch.setattr(text_ranges, "_SCAN_BYTES", block)
        for range_bytes in (1, 2, 5, 13, 1000):
            assert read_in_ranges(path, range_bytes) == expected


def test_gzipped_files_are_one_range(tmp_path: Path) -> None:
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


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\nx\n")
    with pytest.raises(BadInputError, match="without `text_column`"):
        find_ranges(str(tmp_path / "rows.csv"), 10)
    (tmp_path / "plain.txt").write_text("x\n")
    with pytest.raises(BadInputError, match="`text_column` is a column of tables"):
        find_ranges(str(tmp_path / "plain.txt"), 10, "text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="holds none"):
        find_ranges(str(tmp_path / "empty"), 10)
    (tmp_path / "empty" / "file.txt").touch()
    with pytest.raises(BadInputError, match="all empty"):
        find_ranges(str(tmp_path / "empty"), 10)


def test_a_long_line_and_bad_bytes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"caf\xe9 au lait\n\n" + b"word " * 40_000 + b"\nend\n")
    report = ReadReport()
    read = [document for part in find_ranges(str(path), 50_000) for document in read_range(part, report=report)]
    assert read == list(read_documents(path))
    assert (report.invalid_lines, report.cut_lines, report.documents) == (1, 1, 2)
