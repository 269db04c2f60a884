"""The settings that say how labelled tables are read."""

from pydantic import Field

from kerasbert.settings.setting_types import NotEmptyText, Text
from kerasbert.settings.settings_class import settings_class


@settings_class
class TableSettings:
    """The columns of a table of labelled texts."""

    text_column: Text = Field("text", description="Column of the texts.")
    pair_column: Text | None = Field(None, description="Column of the second texts, for tasks on pairs.")
    label_column: Text = Field("label", description="Column of the labels.")
    label_separator: NotEmptyText = Field(
        ";", description="Separator between the labels of one row (multi-label classification)."
    )
