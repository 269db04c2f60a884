"""Reads files in any encoding as UTF-8, and detects the likely encoding of a file that is not UTF-8."""

import codecs
from pathlib import Path
from typing import Protocol

from kerasbert.errors import BadInputError

# The longer marks come first: UTF-32 little-endian begins with UTF-16's.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: None,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_REPLACEMENT = "\ufffd".encode()
_NOT_UTF8 = b"\xff"  # in no UTF-8
_SAMPLE_BYTES = 1 << 16
# Control characters other than white space; text has hardly any.
_CONTROL_BYTES = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b") + b"\x7f"
_MOST_CONTROL_BYTES = 0.02
# Letters and signs of Western European languages outside ASCII. If a file contains no others, its encoding is
# Windows-1252: charset-normalizer often prefers Windows-1250, which has most of them at the same positions.
_WESTERN = set("àâäáãåæçéèêëíìîïñóòôöõøœúùûüÿßÀÂÄÁÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØŒÚÙÛÜŸ“”‘’„‚‹›«»–—…€£§°¿¡·•®©™ªº²³½¼¾´\xa0")
_MOST_WESTERN_LETTERS = 0.25  # share of all letters; other alphabets would have more outside ASCII


class BinaryFile(Protocol):
    """A binary file with the method `read`."""

    def read(self, size: int = ..., /) -> bytes:
        """Returns the next bytes, or no bytes at the end."""
        ...


class Utf8Reader:
    """Reads a binary file of any encoding as the bytes of UTF-8, without a byte-order mark.

    Bytes that are invalid in the encoding become the byte FF, which is invalid in UTF-8, so the decoder of the result
    counts them.

    Args:
        file: the file, at its beginning.
        encoding: its encoding, or None for UTF-8. A byte-order mark in the file overrides it.
        block_bytes: size of the sample that is read first.

    Attributes:
        sample: the first bytes of the file, unchanged.
        is_utf8: whether the file is read as UTF-8.
    """

    def __init__(self, file: BinaryFile, encoding: str | None, block_bytes: int) -> None:
        self._file = file
        self.sample = file.read(block_bytes)
        self._waiting = self.sample
        for mark, its_encoding in _BYTE_ORDER_MARKS.items():
            if self.sample.startswith(mark):
                encoding = its_encoding
                if encoding is None:
                    self._waiting = self.sample = self.sample.removeprefix(mark)
                break
        name = None if encoding is None else codecs.lookup(encoding).name
        self.is_utf8 = name in (None, "utf-8", "utf-8-sig")
        self._decoder = None if self.is_utf8 else codecs.getincrementaldecoder(name or "")(errors="replace")

    def read(self, size: int) -> bytes:
        """Returns about the next `size` bytes of UTF-8, or no bytes at the end."""
        while raw := self._waiting or self._file.read(size):
            self._waiting = b""
            if converted := self._converted(raw):
                return converted
        return self._converted(b"", is_end=True)

    def _converted(self, raw: bytes, is_end: bool = False) -> bytes:
        if self._decoder is None:
            return raw
        text = self._decoder.decode(raw, is_end)
        return text.encode("utf-8", "replace").replace(_REPLACEMENT, _NOT_UTF8)


def checked_encoding(encoding: str) -> str:
    """Returns the name of a text encoding that Python knows.

    Raises:
        BadInputError: Python knows no such encoding, or it is not an encoding of text (`base64`).

    Example:
        >>> checked_encoding("Latin-1")
        'Latin-1'
    """
    try:
        if codecs.lookup(encoding)._is_text_encoding:
            return encoding
    except (LookupError, ValueError):
        pass
    raise BadInputError(
        f"`encoding` must be the name of a text encoding. Received: encoding={encoding!r}. "
        "For example `encoding='cp1252'` (Western Windows), `encoding='utf-16'` or `encoding='gb18030'`."
    )


def likely_encoding(sample: bytes) -> str | None:
    """Guesses the encoding of bytes that are not UTF-8. Returns None if no encoding gives readable text.

    Example:
        >>> likely_encoding("le café était très bon".encode("cp1252"))
        'cp1252'
    """
    sample = sample[:_SAMPLE_BYTES]
    # In UTF-16 text in Latin letters, every other byte is NUL.
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) > 0.2 * len(sample) and min(even, odd) < 0.1 * max(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    if b"\0" in sample or len(sample.translate(None, _CONTROL_BYTES)) < (1 - _MOST_CONTROL_BYTES) * len(sample):
        return None
    if _is_western(sample):
        return "cp1252"
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample).best()
    return None if best is None or best.encoding == "utf_8" else str(best.encoding)


def _is_western(sample: bytes) -> bool:
    text = sample.decode("cp1252", errors="replace")
    others = [char for char in text if not char.isascii()]
    letters = sum(map(str.isalpha, text))
    return _WESTERN.issuperset(others) and sum(map(str.isalpha, others)) <= _MOST_WESTERN_LETTERS * letters


def check_is_utf8(sample: bytes, path: Path, is_whole: bool) -> str | None:
    """Checks the first bytes of a file that is read as UTF-8.

    Args:
        sample: its first bytes.
        path: its path, for the messages.
        is_whole: whether the sample is the whole file.

    Returns:
        The likely encoding if some lines are not UTF-8 and no line outside ASCII is; otherwise None.

    Raises:
        BadInputError: the file is binary, or most of its lines are not UTF-8. The message names the likely encoding.
    """
    if b"\0" in sample[:_SAMPLE_BYTES]:
        raise not_utf8_error(path, sample, "contains a NUL byte")
    try:
        sample.decode("utf-8")
        return None
    except UnicodeDecodeError as error:
        if not is_whole and error.end >= len(sample) - 3 and error.reason == "unexpected end of data":
            return None
    lines = sample.split(b"\n")
    lines = [line for line in (lines if is_whole or len(lines) < 2 else lines[:-1]) if line.strip()]
    others = [line for line in lines if not line.isascii()]
    invalid = sum(not _is_utf8(line) for line in others)
    if 2 * invalid > len(lines):
        raise not_utf8_error(path, sample, f"has invalid UTF-8 in {invalid} of its first {len(lines)} lines")
    return likely_encoding(sample) if 2 * invalid > len(others) else None


def not_utf8_error(path: Path, sample: bytes, found: str) -> BadInputError:
    """Returns the error for a file that is not UTF-8, which names its likely encoding or says that it is binary."""
    rule = f"A text file must be in UTF-8, or its encoding must be given. Received: '{path}', which {found}"
    likely = likely_encoding(sample)
    if likely is None:
        return BadInputError(
            f"{rule} and is binary or in an unknown encoding. Unpack it, or convert it to text in UTF-8."
        )
    return BadInputError(
        f"{rule} and is probably in {likely}. Read it with `encoding={likely!r}`, or convert it with "
        f"`iconv -f {likely} -t UTF-8`."
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
