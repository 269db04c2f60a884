"""Reading documents: ends of lines and documents, and files that cannot be read."""

import gzip
import itertools
import tracemalloc

import pytest

from kerasbert.data import ReadReport, find_text_files, read_documents, read_lines
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path, **arguments):
    report = ReadReport()
    return list(read_documents(path, report, **arguments)), report


def test_blank_lines_and_file_ends_end_documents(tmp_path):
    write(tmp_path / "b.txt", "\n\n One.\nTwo. \n \t \n\nThree.")
    write(tmp_path / "a" / "c.txt", "Four.\n\n")
    write(tmp_path / ".hidden", "Not read.")
    documents, report = read(tmp_path)
    assert documents == [["One.", "Two."], ["Three."], ["Four."]]
    assert (report.files, report.lines, report.documents) == (2, 4, 3)
    assert report.warning() is None
    assert list(read_lines(tmp_path)) == ["One.", "Two.", "Three.", "Four."]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems(tmp_path, end):
    path = write(tmp_path / "a.txt", end.join(["One.", "Two.", "", "Three.", ""]))
    assert read(path)[0] == [["One.", "Two."], ["Three."]]
    assert list(text_lines(path)) == ["One.", "Two.", "", "Three."]


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c"])
def test_only_line_ends_end_a_line(tmp_path, character):
    path = write(tmp_path / "a.txt", f"One{character}still one.\nTwo.\n")
    assert read(path)[0] == [[f"One{character}still one.", "Two."]]


def test_line_end_on_the_border_of_two_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasbert.data.text_files._BLOCK_BYTES", 4)
    for content in ("abc\r\ndef\r\n", "abcd\r\n\r\nef", "abc\rdef\r", "é\r\né\n", "abcdefghijklmnop\r\nq"):
        path = write(tmp_path / "a.txt", content)
        assert list(text_lines(path)) == content.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split(
            "\n"
        )


def test_gzip_is_recognized_by_content_not_by_name(tmp_path):
    packed = gzip.compress(b"One.\nTwo.\n")
    for name in ("a.gz", "a.txt"):
        assert read(write(tmp_path / name, packed))[0] == [["One.", "Two."]]
    assert read(write(tmp_path / "plain.gz", "One.\n"))[0] == [["One."]]


def test_files_patterns_and_folders_each_file_once_in_order(tmp_path):
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/d.md"):
        write(tmp_path / name, "Text.")
    names = lambda paths: [path.relative_to(tmp_path).as_posix() for path in find_text_files(paths)]  # noqa: E731
    assert names(tmp_path) == ["a.txt", "b.txt", "sub/c.txt", "sub/d.md"]
    assert names(str(tmp_path / "**" / "*.txt")) == ["a.txt", "b.txt", "sub/c.txt"]
    assert names([tmp_path / "b.txt", tmp_path]) == ["b.txt", "a.txt", "sub/c.txt", "sub/d.md"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    assert read(write(tmp_path / "a[1].txt", "Text."))[0] == [["Text."]]


def test_invalid_utf8_is_replaced_counted_and_reported(tmp_path):
    content = b"Caf\xe9 and na\xefve.\nFine \xef\xbf\xbd.\n\xff\xfe\xfd in here\nPlain.\n"
    documents, report = read(write(tmp_path / "a.txt", content))
    assert documents == [["Caf\ufffd and na\ufffdve.", "Fine \ufffd.", "\ufffd\ufffd\ufffd in here", "Plain."]]
    assert (report.invalid_lines, report.replaced_characters) == (2, 5)
    assert report.warning().startswith("2 of 4 lines contain invalid UTF-8 (5 characters replaced by U+FFFD)")


def test_byte_order_marks(tmp_path):
    assert read(write(tmp_path / "a.txt", b"\xef\xbb\xbfOne.\n"))[0] == [["One."]]
    for encoding in ("utf-16", "utf-32"):
        assert read(write(tmp_path / "b.txt", "One.\nZwei ä.\n".encode(encoding)))[0] == [["One.", "Zwei ä."]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text\0text\n" * 100, "NUL byte and is binary"),
        ("UTF-16 without a mark".encode("utf-16-le"), "probably in utf-16-le"),
        (bytes(range(1, 256)) * 50, "is binary"),
        ("Текст в другой кодировке. ".encode("koi8-r") * 50, "probably in koi8_r"),
        (b"fine\n" * 300_000 + b"\0", "NUL byte and is binary"),
        (gzip.compress(b"\x89PNG\r\n\0\0", mtime=0), "PNG"),
    ],
    ids=["NUL", "UTF-16", "all bytes", "KOI8-R", "NUL at the end", "packed image"],
)
def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(BadInputError, match=rf"Received: '.*picture.txt'.*{message}"):
        read(write(tmp_path / "picture.txt", content))


@pytest.mark.parametrize("content", [b"\n \n\t\n", b"\r\n", b" ", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf"])
def test_no_readable_line(tmp_path, content):
    with pytest.raises(BadInputError, match=r"at least one line that is not blank. Received: '.*blank.txt'"):
        read(write(tmp_path / "blank.txt", content))


def test_an_empty_file_is_refused_by_name_and_skipped_in_a_folder(tmp_path):
    empty = write(tmp_path / "empty.txt", "")
    with pytest.raises(BadInputError, match=r"empty.txt', which is empty"):
        read(empty)
    with pytest.raises(BadInputError, match=r"at least one line"):
        read(tmp_path)
    write(tmp_path / "full.txt", "One.")
    documents, report = read(tmp_path)
    assert documents == [["One."]]
    assert report.warning() == "1 empty files were skipped"


def test_missing_files_are_reported(tmp_path):
    with pytest.raises(BadInputError, match="which does not"):
        read_documents(tmp_path / "missing.txt")
    with pytest.raises(BadInputError, match="matches none"):
        read_documents(str(tmp_path / "*.txt"))
    with pytest.raises(BadInputError, match="contains none"):
        read_documents(tmp_path)
    with pytest.raises(BadInputError, match="no path"):
        read_documents([])


def test_broken_gzip(tmp_path):
    path = write(tmp_path / "a.gz", gzip.compress(b"One.\n" * 100_000)[:-20])
    with pytest.raises(BadInputError, match=r"unpack to its end. Received: '.*a.gz'"):
        read(path)


def test_overlong_lines_are_cut_at_white_space_or_between_characters(tmp_path):
    words = "word " * 30_000
    han = "漢" * 50_000
    path = write(tmp_path / "a.txt", f"{words}\n\n{han}\n")
    (first, second), report = read(path)
    assert max(len(line.encode()) for line in first + second) <= 64 * 1024
    assert " ".join(first).split() == words.split()
    assert "".join(second) == han
    assert (report.cut_lines, report.replaced_characters) == (2, 0)
    assert report.warning() == "2 overlong lines were cut"


def test_a_line_of_50_mb_is_read_piece_by_piece(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        for _ in range(50):
            file.write(b"some words of a very long line " * 32_768)
        file.write(b"\n\nAnother document.\n")
    tracemalloc.start()
    report = ReadReport()
    lines = sum(1 for _ in read_lines(path, report))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == report.lines > 700
    assert report.cut_lines == 1
    assert peak < 10 * 2**20


def test_a_document_without_end_is_refused(tmp_path):
    path = write(tmp_path / "a.txt", "A line of twenty char\n" * 100)
    with pytest.raises(BadInputError, match=r"not be longer than 1000 characters.*a.txt.*Put a blank line"):
        read(path, max_document_characters=1000)


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    def peak(num_documents):
        path = write(tmp_path / "a.txt", "One sentence of some length.\nAnother sentence.\n\n" * num_documents)
        tracemalloc.start()
        number = sum(1 for _ in read_documents(path))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert number == num_documents
        return peak

    peak(100)
    assert peak(150_000) < 1.2 * peak(50_000)


def test_progress_tells_the_bytes_read(tmp_path):
    write(tmp_path / "a.txt", "One sentence.\n\n" * 200_000)
    write(tmp_path / "b.gz", gzip.compress(b"One sentence.\n\n" * 200_000))
    sizes = []
    for _ in read_documents(tmp_path, progress=lambda report: sizes.append(report.bytes)):
        pass
    assert sizes == sorted(sizes)
    assert sizes[-1] == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert len(sizes) >= 4


def test_reading_is_lazy(tmp_path):
    write(tmp_path / "a.txt", "One.\n\n" * 10)
    write(tmp_path / "b.txt", b"\0")
    assert len(list(itertools.islice(read_documents(tmp_path), 10))) == 10
