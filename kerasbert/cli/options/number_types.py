"""Numbers that an option takes, where Click's own types let through what no run can use."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of numbers. Not in it, unlike in Click's: "nan", which no comparison holds back, and "inf"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a usage error."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


POSITIVE = FiniteRange(min=0, min_open=True)
# NumPy's seeds have 32 bits.
SEED = click.IntRange(0, 2**32 - 1)
