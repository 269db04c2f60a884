"""The reports of file readers: counts, unreadable parts, and notes on what was detected or decided."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class ReadReport:
    """Counts of what has been read, which are updated while lines are read.

    Attributes:
        files: number of files opened.
        empty_files: number of empty files in a folder or matched by a pattern.
        bytes: number of bytes read from disk, before decompression.
        lines: number of lines that are not blank.
        documents: number of documents, if documents are read.
        cut_lines: number of lines that were too long and were split at white space.
        invalid_lines: number of lines with invalid UTF-8.
        replaced_characters: number of U+FFFD characters that replace invalid UTF-8.
        notes: sentences on what was detected or decided, e.g. the delimiter of a file.

    Example:
        >>> ReadReport(lines=10, invalid_lines=1, replaced_characters=2).warning()
        '1 of 10 lines contain invalid UTF-8 (2 characters replaced by U+FFFD)'
    """

    files: int = 0
    empty_files: int = 0
    bytes: int = 0
    lines: int = 0
    documents: int = 0
    cut_lines: int = 0
    invalid_lines: int = 0
    replaced_characters: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Adds a note, unless it exists already."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def add(self, other: "ReadReport") -> None:
        """Adds the counts and notes of another report."""
        for name in (each.name for each in dataclasses.fields(self) if each.name != "notes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for sentence in other.notes:
            self.note(sentence)

    def warning(self) -> str | None:
        """Returns text on unreadable parts and all notes, or None if there is nothing to report."""
        found = []
        if self.invalid_lines:
            found.append(
                f"{self.invalid_lines} of {self.lines} lines contain invalid UTF-8 "
                f"({self.replaced_characters} characters replaced by U+FFFD)"
            )
        if self.cut_lines:
            found.append(f"{self.cut_lines} overlong lines were cut")
        if self.empty_files:
            found.append(f"{self.empty_files} empty files were skipped")
        return "; ".join([*found, *self.notes]) or None


Progress = Callable[[ReadReport], None]
