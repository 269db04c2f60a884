"""Splits rows into training and held-out parts, depending on their number and classes.

A hash of each row's text decides first (stable_split.py). A plan then corrects the cases that a hash cannot handle: a
part would be empty, few rows miss the shares by chance, or training would lose a class. `SplitStatistics` collects the
data for a plan in one pass and can be merged, so a Beam pipeline plans the same split as a single process.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kerasbert.data.stable_split import check_fractions, part_at, position_of

# Up to this many rows, a plan considers every row. With more rows, the hash alone meets the shares closely enough.
MOST_COUNTED_ROWS = 20_000
# Up to this many rows, the shares are met to within one row. Beyond, the allowed deviation grows slowly, because every
# correction means that rows may move when others are added.
_EXACT_ROWS = 1_000
_NAMED_CLASSES = 3


@dataclass(frozen=True)
class SplitPlan:
    """The part or parts of each row.

    Attributes:
        fractions: part name -> share.
        moved: position of a key -> its parts, for keys whose part differs from that of their hash.
        note: a sentence on rows that stay in training, or None.

    Example:
        >>> from kerasbert.data import stable_split
        >>> plan = SplitPlan({"train": 0.8, "validation": 0.2})
        >>> plan.parts_of("a text") == (stable_split("a text", plan.fractions),)
        True
    """

    fractions: Mapping[str, float]
    moved: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    note: str | None = None

    def parts_of(self, key: str) -> tuple[str, ...]:
        """The part that `key` belongs to. It belongs to two only if a held-out part would be empty otherwise."""
        return self.parts_at(position_of(key))

    def parts_at(self, position: int) -> tuple[str, ...]:
        """The part that the key at a position belongs to."""
        return self.moved.get(position) or (part_at(position, self.fractions),)


@dataclass
class _Group:
    """The rows of one text.

    Attributes:
        rows: number of rows.
        classes: class -> number of rows that have it.
    """

    rows: int = 0
    classes: Counter[str] = field(default_factory=Counter)


class SplitStatistics:
    """Counts the rows before a split. Memory is bounded, regardless of the number of rows.

    Example:
        >>> statistics = SplitStatistics()
        >>> for number in range(10):
        ...     statistics.add(f"text {number}", ["rare" if number == 8 else "common"])
        >>> plan = statistics.plan({"train": 0.8, "validation": 0.2})
        >>> [number for number in range(10) if "validation" in plan.parts_of(f"text {number}")]
        [2, 4]
    """

    def __init__(self) -> None:
        self._rows = 0
        self._groups: dict[int, _Group] = {}
        self._first_positions: dict[str, int] = {}  # class -> the lowest position of its rows

    def add(self, key: str, classes: Iterable[str] = ()) -> None:
        """Counts one row.

        Args:
            key: the row's text, or all its texts.
            classes: the classes of the row, which training must not lose: its label, labels or tags.
        """
        self.add_at(position_of(key), classes)

    def add_at(self, position: int, classes: Iterable[str] = ()) -> None:
        """Counts one row whose key has the given position."""
        classes = set(classes)
        self._rows += 1
        for name in classes:
            self._first_positions[name] = min(position, self._first_positions.get(name, position))
        if self._rows <= MOST_COUNTED_ROWS:
            group = self._groups.setdefault(position, _Group())
            group.rows += 1
            group.classes.update(classes)
        else:
            self._groups.clear()

    def merge(self, other: "SplitStatistics") -> None:
        """Adds the counts of other rows."""
        self._rows += other._rows
        for name, position in other._first_positions.items():
            self._first_positions[name] = min(position, self._first_positions.get(name, position))
        if self._rows > MOST_COUNTED_ROWS:
            self._groups.clear()
            return
        for position, counted in other._groups.items():
            group = self._groups.setdefault(position, _Group())
            group.rows += counted.rows
            group.classes.update(counted.classes)

    def plan(self, fractions: Mapping[str, float], least: int = 1) -> SplitPlan:
        """Decides which row belongs to which part.

        * Each part has its share of the rows, within one row if there are at most 1,000 rows of different texts.
        * No part with a share has fewer than `least` rows. If training needs every row, held-out rows are used for
          training too.
        * Training keeps at least one row of each class.
        * Rows of the same text are in the same part, and adding rows moves few others.

        Args:
            fractions: part name -> share. The first part is training. Shares must sum to 1.
            least: the minimum number of rows of a part.

        Raises:
            ValueError: a share is negative, or they do not sum to 1.
        """
        check_fractions(fractions)
        training = next(iter(fractions))
        if not self._rows or not fractions[training]:
            return SplitPlan(dict(fractions))
        if self._rows > MOST_COUNTED_ROWS:
            lost = {
                name: position
                for name, position in self._first_positions.items()
                if part_at(position, fractions) != training
            }
            moved = dict.fromkeys(lost.values(), (training,))
            return SplitPlan(dict(fractions), moved, _kept_note(lost))
        return _Filling(self._groups, dict(fractions), least).plan()


class _Filling:
    """Fills the held-out parts of a plan, the last one first, with the rows of the highest positions."""

    def __init__(self, groups: Mapping[int, _Group], fractions: dict[str, float], least: int) -> None:
        self._groups = dict(sorted(groups.items(), reverse=True))
        self._fractions = fractions
        self._least = least
        self._training, *held_out = fractions
        self._held_out = [part for part in reversed(held_out) if fractions[part] > 0]
        self._parts: dict[int, tuple[str, ...]] = {}
        self._training_rows = sum(group.rows for group in groups.values())
        self._training_classes: Counter[str] = Counter()
        for group in groups.values():
            self._training_classes.update(group.classes)
        self._kept: dict[str, None] = {}
        self._shared = 0  # rows that are in two parts

    def plan(self) -> SplitPlan:
        """The plan."""
        for part, quota in zip(self._held_out, self._quotas(), strict=True):
            filled = self._fill(part, quota) or self._fill_by_smallest(part)
            if filled < self._least:
                self._share(part, quota - filled)
        parts = {position: self._parts.get(position, (self._training,)) for position in self._groups}
        moved = {at: names for at, names in parts.items() if names != (part_at(at, self._fractions),)}
        notes = [note for note in (_kept_note(self._kept), self._shared_note()) if note]
        return SplitPlan(self._fractions, moved, "; ".join(notes) or None)

    def _quotas(self) -> list[int]:
        """Returns the number of rows that each held-out part should have."""
        rows = self._training_rows
        slack = max(0, rows - _EXACT_ROWS) // 100
        quotas = []
        share = hashed = before = 0.0
        for part in self._held_out:
            share += self._fractions[part]
            hashed += sum(group.rows for at, group in self._groups.items() if part_at(at, self._fractions) == part)
            end = min(max(hashed, round(share * rows) - slack), round(share * rows) + slack)
            quotas.append(max(self._least, int(end - before)))
            before = end
        return quotas

    def _fill(self, part: str, quota: int) -> int:
        """Moves rows to the part until it has its quota, and returns their number."""
        filled = 0
        for position, group in self._groups.items():
            missing = quota - filled
            if missing <= 0:
                break
            # Rows of one text stay together. They are left out if they would exceed the quota by more than is missing.
            if position in self._parts or group.rows - missing >= missing:
                continue
            if self._can_spare(group):
                self._move(position, part)
                filled += group.rows
        return filled

    def _fill_by_smallest(self, part: str) -> int:
        """Moves the smallest group that training can spare into a part that would be empty. Returns its rows."""
        free = [(group.rows, -at) for at, group in self._groups.items() if at not in self._parts]
        for _, negative in sorted(free):
            if self._can_spare(self._groups[-negative]):
                self._move(-negative, part)
                return self._groups[-negative].rows
        return 0

    def _can_spare(self, group: _Group) -> bool:
        """Whether training keeps rows, and some of every class, without the group."""
        needed = [name for name, count in group.classes.items() if self._training_classes[name] == count]
        self._kept.update(dict.fromkeys(needed))
        return not needed and self._training_rows - group.rows >= self._least

    def _move(self, position: int, part: str) -> None:
        group = self._groups[position]
        self._parts[position] = (part,)
        self._training_rows -= group.rows
        self._training_classes.subtract(group.classes)

    def _share(self, part: str, quota: int) -> None:
        """Uses rows of training also for a part that has too few."""
        for position, group in self._groups.items():
            names = self._parts.get(position, (self._training,))
            if self._training in names and quota > 0:
                self._parts[position] = (*names, part)
                self._shared += group.rows
                quota -= group.rows

    def _shared_note(self) -> str | None:
        if not self._shared:
            return None
        return (
            f"training needs every row, so {self._shared} of its rows are used for evaluation too: "
            "the metrics say nothing about new texts"
        )


def _kept_note(classes: Iterable[str]) -> str | None:
    """Returns the note on classes whose last rows stay in training."""
    names = sorted(classes)
    if not names:
        return None
    listed = ", ".join(map(repr, names[:_NAMED_CLASSES])) + (", ..." if len(names) > _NAMED_CLASSES else "")
    return f"rows of {len(names)} rare {'class' if len(names) == 1 else 'classes'} stay in training ({listed})"


def split_rows(
    keys: Sequence[str], classes: Sequence[Iterable[str]], fractions: Mapping[str, float]
) -> tuple[dict[str, list[int]], str | None]:
    """Splits rows that are all in memory.

    Args:
        keys: the text of each row, or all its texts.
        classes: the classes of each row. See `SplitStatistics.add`.
        fractions: part name -> share. See `SplitStatistics.plan`.

    Returns:
        Part name -> the numbers of its rows, and the plan's note.
    """
    statistics = SplitStatistics()
    for key, names in zip(keys, classes, strict=True):
        statistics.add(key, names)
    plan = statistics.plan(fractions)
    indices: dict[str, list[int]] = {part: [] for part in fractions}
    for index, key in enumerate(keys):
        for part in plan.parts_of(key):
            indices[part].append(index)
    return indices, plan.note
