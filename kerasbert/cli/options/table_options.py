"""The options that name the columns of a table."""

from collections.abc import Callable
from typing import Any

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.settings import TableSettings


def table_options(with_label: bool = True) -> Callable[[Any], Any]:
    """Returns a decorator that adds the options.

    Args:
        with_label: Whether the table has labels.
    """
    labels = () if with_label else ("label_column", "label_separator")
    return settings_options(TableSettings, without=labels)
