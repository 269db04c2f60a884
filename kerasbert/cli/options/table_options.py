"""Options for the format and the columns of tables."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.settings import FormatSettings, TableSettings, settings_of

if TYPE_CHECKING:
    from kerasbert.data import TableFormat

_FORMAT = (*settings_of(FormatSettings), "word_column", "tag_column")


def table_options(with_label: bool = True) -> Callable[[Any], Any]:
    """Returns a decorator that adds the options.

    Args:
        with_label: Whether the table has labels.
    """
    labels = () if with_label else ("label_column", "label_separator", "word_column", "tag_column")
    return settings_options(TableSettings, without=labels)


def format_of(values: dict[str, Any]) -> "TableFormat":
    """Removes the file-format options from a command's values and returns them as a `TableFormat`."""
    from kerasbert.recipes.text_formats import table_format

    kind = TableSettings if "word_column" in values else FormatSettings
    given = {name: values.pop(name) for name in settings_of(kind) if name in values and name in _FORMAT}
    return table_format(kind(**given))
