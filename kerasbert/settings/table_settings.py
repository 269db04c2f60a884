"""The settings that say how tables and text files are read."""

from typing import Annotated

from pydantic import Field

from kerasbert.settings.setting_types import Flag, Flags, NotEmptyText, Text
from kerasbert.settings.settings_class import settings_class


@settings_class
class FormatSettings:
    """How files are written. By default this is found out from each file.

    Example:
        >>> FormatSettings(delimiter="semicolon", encoding="cp1252").has_header
        True
    """

    delimiter: NotEmptyText | None = Field(
        default=None,
        description="Delimiter of the columns of tables: one character, or comma, semicolon, tab, pipe or space. By "
        "default, it is detected.",
    )
    encoding: NotEmptyText | None = Field(
        default=None, description="Text encoding, e.g. cp1252 or utf-16. By default, UTF-8."
    )
    has_header: Annotated[Flag, Flags(("--header/--no-header",))] = Field(
        default=True,
        description="Whether the first line of a table names its columns. Without a header, columns are chosen by "
        "number, counted from 1.",
    )


@settings_class
class TextTableSettings(FormatSettings):
    """The format of text files that may be tables with a column of texts.

    Example:
        >>> TextTableSettings(text_column="review").text_column
        'review'
    """

    text_column: Text | None = Field(
        default=None,
        description="Text column, if the files are tables: each row's text is a document, and each of its lines a "
        "sentence. By default, the files are plain text.",
    )


@settings_class
class TableSettings(FormatSettings):
    """The format and the columns of tables of labelled texts.

    Example:
        >>> TableSettings(text_column=1, label_column=2, has_header=False).label_column
        '2'
    """

    text_column: Text = Field(default="text", description="Column of the texts.")
    pair_column: Text | None = Field(default=None, description="Column of the second texts, for tasks on pairs.")
    label_column: Text = Field(default="label", description="Column of the labels.")
    label_separator: NotEmptyText = Field(
        default=";", description="Separator between the labels of one row (multi-label classification)."
    )
    word_column: NotEmptyText | None = Field(
        default=None,
        description="Column of the words in files with one word per line (token classification): a number, counted "
        "from 1, or a name. By default, the layout is detected.",
    )
    tag_column: NotEmptyText | None = Field(
        default=None, description="Column of the tags in files with one word per line, chosen in the same way."
    )
