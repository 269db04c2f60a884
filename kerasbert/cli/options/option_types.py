"""Types of option values: numbers within a range, in any unambiguous notation ("1e4" is a whole number too)."""

from typing import Any

import click

from kerasbert.settings.setting_types import finite_number, whole_number


class WholeNumber(click.IntRange):
    """A whole number within a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Returns the number, or fails with a usage error."""
        try:
            number = whole_number(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return int(super().convert(number, param, ctx))


class AnyNumber(click.ParamType):
    """A finite number. Unlike `click.FLOAT`, it rejects "nan" and "inf"."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the number, or fails with a usage error."""
        try:
            return finite_number(value)
        except ValueError:
            self.fail(f"{value!r} is not a finite number.", param, ctx)


class FiniteNumber(click.FloatRange):
    """A finite number within a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the number, or fails with a usage error."""
        return float(super().convert(AnyNumber().convert(value, param, ctx), param, ctx))


# NumPy accepts seeds of 32 bits.
SEED = WholeNumber(0, 2**32 - 1)


class NotEmpty(click.ParamType):
    """Text with at least one character."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the text, or fails with a usage error."""
        return str(value) if value else self.fail("must not be empty.", param, ctx)


class ValueFlag(click.Option):
    """A flag that sets its parameter to a given value, e.g. `--cased`, which sets `lower_case` to False.

    Attributes:
        sets: The value.
    """

    def __init__(self, *args: Any, sets: bool, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "is_flag": True})
        self.sets = sets

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Returns the value of the parameter."""
        is_given = super().process_value(ctx, value)
        return self.sets if is_given else not self.sets
