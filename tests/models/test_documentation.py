"""The examples of two pages of the documentation run, and print what their comments say."""

import re
from pathlib import Path

import mktestdocs
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = {
    f"{page}, block {number}": code
    for page in ("layers_and_models.md", "training_options.md")
    for number, code in enumerate(mktestdocs.grab_code_blocks((DOCS / page).read_text(encoding="utf-8"), "python"), 1)
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_prints_what_its_comments_say(block, capsys):
    code = BLOCKS[block]
    exec(compile(code, block, "exec"), {"__name__": "example"})
    expected = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == expected
