"""The examples of docs/layers_and_models.md run, and print what their comments say."""

import re
from pathlib import Path

import mktestdocs
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "layers_and_models.md"
BLOCKS = list(mktestdocs.grab_code_blocks(PAGE.read_text(encoding="utf-8"), lang="python"))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_prints_what_its_comments_say(number, capsys):
    code = BLOCKS[number]
    exec(compile(code, f"{PAGE.name}, block {number + 1}", "exec"), {"__name__": "example"})
    expected = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == expected
