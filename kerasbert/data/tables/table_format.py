"""The format of a file of rows: delimiter, encoding, header, and the columns of words and tags."""

from dataclasses import dataclass

from kerasbert.data.text_encoding import checked_encoding
from kerasbert.errors import BadInputError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
_SPELLINGS = {**DELIMITERS, "\\t": "\t"}


@dataclass(frozen=True, kw_only=True)
class TableFormat:
    """The format of tables and files of tagged words. Values of None are detected from each file.

    Attributes:
        delimiter: the character between the values of a row, or its name: `comma`, `semicolon`, `tab`, `pipe` or
            `space`. None detects it from the first line and the file's extension.
        encoding: a text encoding that Python knows, e.g. `cp1252`. None means UTF-8. A byte-order mark in the file
            overrides it.
        has_header: whether the first line of a table names its columns. If not, columns are chosen by number,
            counted from 1, e.g. `text_column="2"`.
        word_column: the column of the words in files with one word per line, as a number counted from 1 or as a name
            from the first line. None detects the layout.
        tag_column: the column of the tags in such files, specified like `word_column`.

    Raises:
        BadInputError: a value is not allowed.

    Example:
        >>> TableFormat(delimiter="semicolon").delimiter
        ';'
    """

    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool = True
    word_column: str | int | None = None
    tag_column: str | int | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            delimiter = _SPELLINGS.get(self.delimiter, self.delimiter)
            if len(delimiter) != 1 or delimiter in '"\r\n':
                raise BadInputError(
                    "`delimiter` must be one character, or one of comma, semicolon, tab, pipe and space. "
                    f"Received: delimiter={self.delimiter!r}. For example `delimiter='semicolon'`."
                )
            object.__setattr__(self, "delimiter", delimiter)
        if self.encoding is not None:
            checked_encoding(self.encoding)
        for name in ("word_column", "tag_column"):
            value = getattr(self, name)
            if isinstance(value, str) and value.isdecimal():
                object.__setattr__(self, name, int(value))
            if value in ("", 0, "0") or (isinstance(value, int) and value < 0):
                raise BadInputError(
                    f"`{name}` must be a number counted from 1, or a name. Received: {name}={value!r}. "
                    f"For example `{name}=2`."
                )


PLAIN = TableFormat()


def column_number(setting: str, column: str | int) -> int:
    """Returns the position, counted from 0, of a column that is chosen by number.

    Args:
        setting: the name of the setting, for the message.
        column: the number, counted from 1.

    Raises:
        BadInputError: the column is not a number of at least 1.
    """
    number = int(column) if isinstance(column, int) or column.isdecimal() else 0
    if number < 1:
        raise BadInputError(
            "Without a header, columns are chosen by number, counted from 1. "
            f"Received: {setting}={column!r}. For example `{setting}='2'`."
        )
    return number - 1
