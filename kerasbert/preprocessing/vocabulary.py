"""The word pieces that a model knows, in the order of their ids, with BERT's special tokens.

Reads and writes `vocab.txt` (one piece a line, the line number is the id). Does not split text: see tokenizer.py. Does
not learn pieces from text: see vocabulary_learning.py.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SUFFIX_MARK = "##"
LONGEST_PIECE_BYTES = 256  # tf-text's word-piece trie holds no longer one


class Vocabulary:
    """An ordered set of word pieces that holds BERT's five special tokens.

    Args:
        pieces: the pieces in the order of their ids. `##` marks a piece that continues a word. Must hold `[PAD]`,
            `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`, at any place, and no piece twice.

    Raises:
        BadInputError: a special token is missing, or a piece is empty, doubled, longer than 256 bytes or has a line
            break in it.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing"])
        >>> len(vocabulary), vocabulary.id_of("##ing"), vocabulary.id_of("xyz")
        (7, 6, 1)
        >>> vocabulary.cls_id
        2
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = tuple(pieces)
        self._ids = _checked_ids(self._pieces, "The vocabulary", lambda index: f"piece {index}")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads a `vocab.txt`: UTF-8, one piece a line, the first line is id 0.

        Windows line ends, a byte order mark and blank lines at the very end are accepted; a blank line before the end
        is not, because it hides which id the next piece has.

        Raises:
            BadInputError: the file is missing, empty, not UTF-8, or its pieces break a rule of `Vocabulary`. The
                message names the file and the line.
        """
        pieces = _read_lines(Path(path))
        vocabulary = cls.__new__(cls)
        vocabulary._pieces = tuple(pieces)
        vocabulary._ids = _checked_ids(vocabulary._pieces, f"{os.fspath(path)}", lambda index: f"line {index + 1}")
        return vocabulary

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the pieces to `path`, one a line, aside first so that no half-written file is ever seen."""
        with write_aside(path) as aside:
            aside.write_bytes("".join(piece + "\n" for piece in self._pieces).encode("utf-8"))

    @property
    def pieces(self) -> tuple[str, ...]:
        """The pieces in the order of their ids."""
        return self._pieces

    @property
    def size(self) -> int:
        """The number of pieces."""
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
        """The id of `piece`, or that of `[UNK]` when the vocabulary does not hold it."""
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


def _read_lines(path: Path) -> list[str]:
    """The lines of a vocabulary file without their line ends and without the blank ones at the end."""
    rule = "A vocabulary is a UTF-8 text file with one word piece a line."
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise BadInputError(f"{rule} Received: {path}, which is not a file. Give the path of a vocab.txt.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInputError(
            f"{rule} Received: {path}, whose line {line} is not UTF-8. Save the file as UTF-8."
        ) from error
    # Only \n ends a line: pieces may hold other Unicode line separators (the multilingual vocabulary has them).
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise BadInputError(f"{rule} Received: {path}, which is empty. Learn one with `kerasbert vocabulary`.")
    return lines


def _checked_ids(pieces: tuple[str, ...], source: str, place: Callable[[int], str]) -> dict[str, int]:
    """Piece -> id, after the rules of a vocabulary are checked."""
    ids: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        _check_piece(piece, source, place(index))
        if piece in ids:
            raise BadInputError(
                f"A vocabulary must hold each piece once. Received: {source} has {piece!r} at "
                f"{place(ids[piece])} and again at {place(index)}. Remove or rename one of them."
            )
        ids[piece] = index
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise BadInputError(
            f"A vocabulary must hold {', '.join(SPECIAL_TOKENS)}. Received: {source} with {len(pieces)} pieces "
            f"({_extent(pieces, place)}) lacks {', '.join(missing)}. Add each missing token as a piece of its own."
        )
    return ids


def _check_piece(piece: str, source: str, place: str) -> None:
    if not isinstance(piece, str):
        raise TypeError(f"A piece must be a string. Received: {source}, {place}: {piece!r}.")
    if not piece.strip(" \t\r\n"):
        raise BadInputError(
            f"A piece must not be blank. Received: {source}, {place}: {piece!r}. Remove the blank line."
        )
    if "\n" in piece or piece.endswith("\r"):
        raise BadInputError(
            f"A piece must not hold a line break. Received: {source}, {place}: {piece!r}. Split or rename the piece."
        )
    length = len(piece.removeprefix(SUFFIX_MARK).encode("utf-8", "surrogatepass"))
    if length > LONGEST_PIECE_BYTES:
        raise BadInputError(
            f"A piece must have at most {LONGEST_PIECE_BYTES} bytes. Received: {source}, {place} with {length} bytes: "
            f"{piece[:20]!r}... Is this file a vocabulary?"
        )


def _extent(pieces: tuple[str, ...], place: Callable[[int], str]) -> str:
    return f"{place(0)} to {place(len(pieces) - 1)}" if pieces else "none"
