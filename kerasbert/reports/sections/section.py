"""The parts of a page: sections that consist of blocks, as plain data that the template lays out.

The template tells blocks apart by their `kind`. Nothing here draws or writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from kerasbert.reports.wording import column, column_is_numeric, plain_text, shortened


@dataclass(frozen=True)
class LegendEntry:
    """A mark in a figure and its meaning. `swatch` is a class of page.css, `strength` its opacity."""

    name: str
    swatch: str
    strength: float = 1.0


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading, its legend and a caption that says what it shows."""

    title: str
    svg: str
    caption: str = ""
    legend: tuple[LegendEntry, ...] = ()


@dataclass(frozen=True)
class Figures:
    """Figures side by side, as many in a row as fit into the window. `size` is "wide", "panel" or "small"."""

    kind: ClassVar[str] = "figures"
    items: tuple[Figure, ...]
    size: str = "panel"


@dataclass(frozen=True)
class Column:
    """A table's column: its heading, and whether its cells are right-aligned."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class Table:
    """Rows of texts under column headings. The first column names the row."""

    kind: ClassVar[str] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Tiles:
    """The few numbers that a reader looks for first."""

    kind: ClassVar[str] = "tiles"
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Legend:
    """One legend for several figures, with a sentence on how to read them."""

    kind: ClassVar[str] = "legend"
    entries: tuple[LegendEntry, ...]
    caption: str = ""


@dataclass(frozen=True)
class Details:
    """Blocks that are hidden until a reader opens them."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: tuple["Block", ...]
    is_open: bool = False


Block = Figures | Table | Tiles | Legend | Details


@dataclass(frozen=True)
class Section:
    """A heading, a note below it, and blocks. `level` 1 starts a part of the page, 2 is a section in it."""

    title: str
    blocks: tuple[Block, ...] = ()
    note: str = ""
    level: int = field(default=2)


def table(
    columns: Sequence[object],
    rows: Sequence[Sequence[object] | Mapping[str, object]],
    title: str = "",
    caption: str = "",
    text_columns: int = 1,
) -> Table:
    """Make a table of raw values, with each column formatted as a whole.

    Args:
        columns: the column headings.
        rows: for each row, a sequence in the order of `columns` or a mapping of heading to value.
        title: a heading above the table.
        caption: a sentence below the table.
        text_columns: the number of columns, from the left, that are always texts.

    Raises:
        ValueError: a row has more or fewer values than there are columns, or is not a sequence or mapping.
    """
    names = [plain_text(name) for name in columns]
    if not names:
        raise ValueError(
            "`columns` must name at least one column. Received: columns=[]. Add a name for each value of a row."
        )
    cells = [_row(index, row, list(columns)) for index, row in enumerate(rows)]
    by_column: list[list[object]] = [[row[index] for row in cells] for index in range(len(names))]
    texts = [column(name, values) for name, values in zip(names, by_column, strict=True)]
    numeric = [index >= text_columns and column_is_numeric(values) for index, values in enumerate(by_column)]
    return Table(
        columns=tuple(Column(name, right) for name, right in zip(names, numeric, strict=True)),
        rows=tuple(zip(*texts, strict=True)),
        title=title,
        caption=caption,
    )


def _row(index: int, row: object, columns: list[object]) -> list[object]:
    """The row's values in the order of the columns."""
    if isinstance(row, Mapping):
        unknown = [key for key in row if key not in columns]
        if unknown:
            raise ValueError(
                f"Each key of a row must be one of `columns`. Received: rows[{index}] with {unknown}, "
                f"columns={columns}. Add the column or remove the key."
            )
        return [row.get(name) for name in columns]
    if isinstance(row, np.ndarray):
        row = row.tolist()
    if isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
        raise ValueError(
            "`rows` must contain a list or mapping for each row. "
            f"Received: rows[{index}]={shortened(repr(row), 60)}. Put its values into a list."
        )
    if len(row) != len(columns):
        raise ValueError(
            f"Each row must have one value per column. Received: rows[{index}] with {len(row)} values, "
            f"{len(columns)} columns. Use None for missing values."
        )
    return list(row)
