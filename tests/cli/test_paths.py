"""Paths with characters that patterns, URLs or shells treat as special are read and written as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., object]


@pytest.mark.parametrize("name", ["a[b].txt", "a]b*?.txt", "a b#c%20.txt", "größe-日本.txt", "-x.txt", "{a,b}.txt"])
def test_any_file_name_is_read_and_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("the cat sat on the mat\n" * 4)
    (tmp_path / "ab.txt").write_text("something else\n" * 4)
    result = command("vocabulary", f"--output=out-{name}", "--size", 60, "--", name)
    assert result.code == 0, result.err
    pieces = (tmp_path / f"out-{name}").read_text(encoding="utf-8").split("\n")
    assert "cat" in pieces
    assert "something" not in pieces
