"""The settings of learning a vocabulary."""

from typing import Annotated

from pydantic import Field

from kerasbert.settings.setting_types import Count, Flag, Flags, VocabularySize
from kerasbert.settings.settings_class import settings_class


@settings_class
class VocabularySettings:
    """The size of a vocabulary, and how its text is normalized."""

    size: VocabularySize = Field(default=30522, description="Maximum number of word pieces.")
    min_count: Count = Field(
        default=2, description="How often a piece of more than one character must occur to be learned."
    )
    lower_case: Annotated[Flag, Flags(("--cased",), value=False, help="Keep capital letters and accents.")] = Field(
        default=True, description="Whether text is lower-cased."
    )
    strip_accents: Annotated[Flag, Flags(("--strip-accents/--keep-accents",))] | None = Field(
        default=None, description="Whether accents are removed. By default, only where text is lower-cased."
    )
