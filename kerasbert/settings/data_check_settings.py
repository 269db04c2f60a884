"""The settings of a check of labelled texts: what counts as a problem, and which problems are too many."""

from pydantic import Field

from kerasbert.settings.setting_types import Count, CountFromZero, Flag, Seed, Share, SomeShare
from kerasbert.settings.settings_class import settings_class


@settings_class
class DataCheckSettings:
    """What is checked, and the limits. A limit that is not set only reports.

    Example:
        >>> DataCheckSettings(max_overlap=0).max_overlap
        0.0
    """

    max_length: Count | None = Field(
        default=None,
        description="Number of tokens beyond which a row counts as too long. By default, what the model reads.",
    )
    similarity: SomeShare = Field(
        default=0.8,
        description="Share of common five-character sequences from which two texts are near duplicates.",
    )
    rare_label: CountFromZero = Field(default=8, description="Labels with fewer rows count as rare.")
    find_doubtful_labels: Flag = Field(
        default=True,
        description="Whether to look for rows whose label is probably wrong, with a linear model that is trained five "
        "times.",
    )
    seed: Seed = Field(default=0, description="Random seed for the division of the rows.")
    max_empty: Share | None = Field(default=None, description="Largest share of empty rows.")
    max_too_long: Share | None = Field(default=None, description="Largest share of rows that are too long.")
    max_duplicates: Share | None = Field(
        default=None, description="Largest share of rows that repeat an earlier row exactly."
    )
    max_near_duplicates: Share | None = Field(
        default=None, description="Largest share of rows that nearly repeat an earlier row."
    )
    max_conflicts: Share | None = Field(
        default=None, description="Largest share of rows whose text also occurs with another label."
    )
    max_overlap: Share | None = Field(
        default=None, description="Largest share of test rows whose text occurs, exactly or nearly, in the other rows."
    )
    max_doubtful_labels: Share | None = Field(
        default=None, description="Largest share of rows whose label is probably wrong."
    )
    max_rare_labels: Share | None = Field(default=None, description="Largest share of labels that are rare.")
