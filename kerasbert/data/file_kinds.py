"""Recognizes files that are not text by their first bytes, and says what they are and what to do with them."""

from pathlib import Path

from kerasbert.errors import BadInputError

# First bytes -> what the file is, and what makes it readable.
_KINDS = {
    b"version https://git-lfs.github.com/spec/": (
        "a Git LFS pointer, not the file itself",
        "Run `git lfs pull` in its repository.",
    ),
    b"%PDF-": ("a PDF", "Extract its text first."),
    b"{\\rtf": ("a Rich Text document", "Save it as plain text in UTF-8."),
    b"SQLite format 3\0": ("an SQLite database", "Export the table as CSV first."),
    b"\x89PNG": ("an image (PNG)", "Name a text file."),
    b"\xff\xd8\xff": ("an image (JPEG)", "Name a text file."),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook (.xls)", "Save it as CSV UTF-8 in the spreadsheet program."),
    b"\xfd7zXZ\0": ("compressed with xz", "Unpack it with `unxz`. Only gzip files can be read directly."),
    b"\x28\xb5\x2f\xfd": (
        "compressed with Zstandard",
        "Unpack it with `unzstd`. Only gzip files can be read directly.",
    ),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "Unpack it first."),
    b"\x80\x04\x95": ("a Python pickle", "Write its rows as CSV or JSONL first."),
    b"\x80\x05\x95": ("a Python pickle", "Write its rows as CSV or JSONL first."),
    b"\x93NUMPY": ("a NumPy array", "Write its rows as CSV or JSONL first."),
}
# Text may begin with these letters too. They count only if the file has a NUL byte, which text never has.
_BINARY_KINDS = {
    b"PAR1": ("a Parquet file", "Convert it, e.g. with `pandas.read_parquet(...).to_csv(..., index=False)`."),
    b"ARROW1": ("an Arrow file", "Convert it to CSV or JSONL first."),
    b"FEA1": ("a Feather file", "Convert it to CSV or JSONL first."),
    b"BZh": ("compressed with bzip2", "Unpack it with `bunzip2`. Only gzip files can be read directly."),
    b"Rar!": ("a RAR archive", "Unpack it first."),
}
_ZIP = b"PK\x03\x04"
_ZIPPED_KINDS = {
    ".xlsx": ("an Excel workbook", "Save it as CSV UTF-8 in the spreadsheet program."),
    ".ods": ("a spreadsheet", "Save it as CSV in UTF-8 in the spreadsheet program."),
    ".docx": ("a Word document", "Save it as plain text in UTF-8."),
    ".odt": ("a text document", "Save it as plain text in UTF-8."),
    ".npz": ("a file of NumPy arrays", "Write its rows as CSV or JSONL first."),
}
_TAR_MAGIC, _TAR_MAGIC_OFFSET = b"ustar", 257
_HTML_BEGINNINGS = (b"<!doctype html", b"<html")


def check_file_kind(beginning: bytes, path: Path) -> None:
    """Refuses a file that is known not to be text.

    Args:
        beginning: its first bytes, decompressed.
        path: its path, for the message.

    Raises:
        BadInputError: the first bytes are those of another kind of file. The message names the kind and a remedy.
    """
    kinds = {**_KINDS, **_BINARY_KINDS} if b"\0" in beginning else _KINDS
    kind = next((kind for magic, kind in kinds.items() if beginning.startswith(magic)), None)
    if beginning.startswith(_ZIP):
        endings = [ending for ending in _ZIPPED_KINDS if path.name.lower().endswith(ending)]
        kind = _ZIPPED_KINDS[endings[0]] if endings else ("a ZIP archive", "Unpack it first.")
    elif beginning[_TAR_MAGIC_OFFSET:].startswith(_TAR_MAGIC):
        kind = ("a tar archive", "Unpack it first.")
    if kind is not None:
        what, remedy = kind
        raise BadInputError(f"A text file must contain text. Received: '{path}', which is {what}. {remedy}")


def check_not_web_page(beginning: str, path: Path) -> None:
    """Refuses a table that is an HTML page, e.g. the error or login page of a failed download.

    Raises:
        BadInputError: the text begins like an HTML page.
    """
    if beginning.lstrip().lower().encode().startswith(_HTML_BEGINNINGS):
        raise BadInputError(
            f"A table must contain rows. Received: '{path}', which is a web page (HTML). "
            "Download the file again, through its raw link and logged in if the site asks for it."
        )
