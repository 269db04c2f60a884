"""The word pieces that a model knows, in the order of their ids, with BERT's special tokens.

Reads and writes `vocab.txt` (one piece per line, where the line number is the id). Splitting text: see tokenizer.py.
Learning pieces from text: see vocabulary_learning.py.
"""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SUFFIX_MARK = "##"
LONGEST_PIECE_BYTES = 256  # the longest piece that tf-text's word-piece trie can contain


class Vocabulary:
    """An ordered set of word pieces that contains BERT's five special tokens.

    A new vocabulary is strict: pieces must not be blank or repeated. Lines of a published model are accepted unchanged
    (see `from_file`), because each line's number is the id of a trained row.

    Args:
        pieces: the pieces in the order of their ids. `##` marks a piece that continues a word. They must contain
            `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`, at any position.

    Raises:
        BadInputError: a special token is missing, or a piece is blank, repeated, longer than 256 bytes or contains a
            line break.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing"])
        >>> len(vocabulary), vocabulary.id_of("##ing"), vocabulary.id_of("xyz")
        (7, 6, 1)
        >>> vocabulary.cls_id
        2
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = tuple(pieces)
        self._ids = _strict_ids(self._pieces)
        self._matched: tuple[str | None, ...] = self._pieces
        self._content = _content(self._pieces)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads a `vocab.txt`: UTF-8, one piece per line, where the first line has id 0.

        As in google-research/bert, white space around a piece is ignored, each line is an id, a blank line never
        matches, and the last of several equal lines counts. Blank lines at the end of the file have no ids. `save`
        writes the file back byte for byte.

        Raises:
            BadInputError: the file does not exist, is empty or not UTF-8, lacks a special token, or a line is longer
                than 256 bytes. The message names the file and the line.
        """
        content = _read(Path(path))
        lines = _lines(content.decode("utf-8-sig"))
        return cls._loaded(lines, content, os.fspath(path), lambda index: f"line {index + 1}")

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> "Vocabulary":
        """Creates a vocabulary from the pieces of a published model, by the rules of `from_file`.

        Args:
            lines: the pieces in the order of their ids. An id without a piece is an empty string.

        Raises:
            BadInputError: a special token is missing, a piece is longer than 256 bytes or contains a line break.

        Example:
            >>> lines = ["[PAD]", "", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "a"]
            >>> vocabulary = Vocabulary.from_lines(lines)
            >>> vocabulary.size, vocabulary.id_of("a"), "" in vocabulary
            (9, 8, False)
        """
        lines = tuple(lines)
        return cls._loaded(lines, _content(lines), "The vocabulary", lambda index: f"piece {index}")

    @classmethod
    def _loaded(cls, lines: Sequence[str], content: bytes, source: str, place: Callable[[int], str]) -> "Vocabulary":
        vocabulary = cls.__new__(cls)
        vocabulary._pieces = tuple(lines)
        ids: dict[str, int] = {}
        for index, line in enumerate(vocabulary._pieces):
            _check_line(line, source, place(index))
            ids.update((piece, index) for piece in (line, line.strip()) if piece.strip())
        _check_special_tokens(ids, vocabulary._pieces, source, place)
        vocabulary._ids = ids
        bare = [line.strip() for line in vocabulary._pieces]
        vocabulary._matched = tuple(piece if ids.get(piece) == index else None for index, piece in enumerate(bare))
        vocabulary._content = content
        return vocabulary

    def with_added(self, pieces: Iterable[str]) -> "Vocabulary":
        """Returns this vocabulary with more pieces at its end, by the rules of `from_lines`.

        Args:
            pieces: the pieces for the ids from `size` on.

        Raises:
            BadInputError: a piece is longer than 256 bytes or contains a line break.
        """
        lines = (*self._pieces, *pieces)
        # A saved file starts with the same bytes, up to the last line that is an id.
        kept = b"\n".join(self._content.split(b"\n")[: self.size])
        end = b"\r\n" if kept.endswith(b"\r") or b"\r\n" in kept else b"\n"
        content = kept.removesuffix(b"\r") + b"".join(end + line.encode("utf-8") for line in lines[self.size :]) + end
        return self._loaded(lines, content, "The vocabulary", lambda index: f"piece {index}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the pieces to `path`, one per line. If they were read from a file, the same bytes are written.

        An incomplete file is never visible.
        """
        with write_aside(path) as aside:
            aside.write_bytes(self._content)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The pieces in the order of their ids, including blank lines and repeated pieces of a file."""
        return self._pieces

    @functools.cached_property
    def continues_word(self) -> np.ndarray:
        """For each id, whether its piece begins with `##` and so continues a word: bool `[pieces]`."""
        return np.array([piece.startswith(SUFFIX_MARK) for piece in self._pieces])

    @property
    def matched_pieces(self) -> tuple[str | None, ...]:
        """For each id, the piece that is searched for in words, or None for an id that no text gets."""
        return self._matched

    @property
    def size(self) -> int:
        """The number of ids."""
        return len(self._pieces)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids of `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`, in this order."""
        return tuple(self._ids[token] for token in SPECIAL_TOKENS)

    @property
    def pad_id(self) -> int:
        """The id of `[PAD]`."""
        return self._ids[PAD]

    @property
    def unk_id(self) -> int:
        """The id of `[UNK]`."""
        return self._ids[UNK]

    @property
    def cls_id(self) -> int:
        """The id of `[CLS]`."""
        return self._ids[CLS]

    @property
    def sep_id(self) -> int:
        """The id of `[SEP]`."""
        return self._ids[SEP]

    @property
    def mask_id(self) -> int:
        """The id of `[MASK]`."""
        return self._ids[MASK]

    def id_of(self, piece: str) -> int:
        """Returns the id of `piece`, or that of `[UNK]` if the vocabulary does not contain it."""
        return self._ids.get(piece, self.unk_id)

    def __contains__(self, piece: object) -> bool:
        return piece in self._ids

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._pieces == other._pieces

    def __hash__(self) -> int:
        return hash(self._pieces)

    def __repr__(self) -> str:
        return f"Vocabulary({self.size} pieces)"


_RULE = "A vocabulary is a UTF-8 text file with one word piece per line."


def _read(path: Path) -> bytes:
    """Returns the bytes of a vocabulary file."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise BadInputError(f"{_RULE} Received: {path}, which is not a file. Check the path.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInputError(
            f"{_RULE} Received: {path}, whose line {line} is not UTF-8. Save the file as UTF-8."
        ) from error
    if not text.strip():
        raise BadInputError(f"{_RULE} Received: {path}, which is empty. Learn one with `kerasbert vocabulary`.")
    return content


def _lines(text: str) -> list[str]:
    """Returns the lines without line ends, and without blank lines at the end of the file."""
    # Only \n ends a line: pieces may contain other Unicode line separators (the multilingual vocabulary has them).
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip(" \t\r\n"):
        lines.pop()
    return lines


def _content(pieces: Iterable[str]) -> bytes:
    return "".join(f"{piece}\n" for piece in pieces).encode("utf-8", "surrogatepass")


def _strict_ids(pieces: tuple[str, ...]) -> dict[str, int]:
    """Checks the rules of a new vocabulary and returns piece -> id."""
    ids: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        _check_line(piece, "The vocabulary", f"piece {index}")
        if not piece.strip(" \t\r\n"):
            raise BadInputError(
                f"A piece must not be blank. Received: {piece!r} as piece {index}. Remove it, or read the lines of a "
                "published model with `Vocabulary.from_lines`."
            )
        if piece in ids:
            raise BadInputError(
                f"A vocabulary must contain each piece once. Received: {piece!r} as piece {ids[piece]} and again as "
                f"piece {index}. Remove one, or read the lines of a published model with `Vocabulary.from_lines`."
            )
        ids[piece] = index
    _check_special_tokens(ids, pieces, "The vocabulary", lambda index: f"piece {index}")
    return ids


def _check_special_tokens(ids: dict[str, int], pieces: Sequence[str], source: str, place: Callable[[int], str]) -> None:
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        extent = f"{place(0)} to {place(len(pieces) - 1)}" if pieces else "none"
        raise BadInputError(
            f"A vocabulary must contain {', '.join(SPECIAL_TOKENS)}. Received: {source} with {len(pieces)} pieces "
            f"({extent}) lacks {', '.join(missing)}. Add each missing token as a separate piece."
        )


def _check_line(piece: str, source: str, place: str) -> None:
    """Refuses a piece that cannot be a line of a vocabulary."""
    if not isinstance(piece, str):
        raise TypeError(f"A piece must be a string. Received: {source}, {place}: {piece!r}.")
    if "\n" in piece or piece.endswith("\r"):
        raise BadInputError(
            f"A piece must not contain a line break. Received: {source}, {place}: {piece!r}. Split or rename the piece."
        )
    length = len(piece.strip().removeprefix(SUFFIX_MARK).encode("utf-8", "surrogatepass"))
    if length > LONGEST_PIECE_BYTES:
        raise BadInputError(
            f"A piece must have at most {LONGEST_PIECE_BYTES} bytes. Received: {source}, {place} with {length} bytes: "
            f"{piece[:20]!r}... Is this file a vocabulary?"
        )
