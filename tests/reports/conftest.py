"""A run with every kind of data, and a reader that parses a page: tags, texts and references."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.reports import write_run_report

VOID = {"meta", "link", "br", "img", "input", "hr"}


class PageReader(HTMLParser):
    """Collects the content of a page, and fails on tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "tags left open"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            self.styles.append(data)
        elif data.strip():
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


@pytest.fixture
def read_page() -> Callable[[str], PageReader]:
    return PageReader


def make_history() -> list[dict[str, Any]]:
    rows = []
    for phase, steps in (("short", range(10, 91, 10)), ("long", range(91, 101))):
        for step in steps:
            rows.append(
                {
                    "phase": phase,
                    "step": step,
                    "split": "train",
                    "loss": 5 - step / 50,
                    "masked_lm_accuracy": step / 200,
                }
                | {"tokens_per_second": 21_000 + step}
            )
        rows.append(
            {
                "phase": phase,
                "step": steps[-1],
                "split": "validation",
                "loss": 5.2 - step / 50,
                "masked_lm_accuracy": 0.3,
            }
        )
    return rows


def make_evaluation() -> dict[str, Any]:
    pieces = ["[CLS]", "open", "the", "file", "##s", "[SEP]"]
    attention = np.random.default_rng(0).dirichlet(np.ones(6), size=(2, 2, 6))
    ways = {way: {"label": "io", "probability": 0.91234} for way in ("live", "rest", "grpc")}
    return {
        "split": "test",
        "metrics": {"accuracy": 0.8434, "macro_f1": 0.8123, "loss": 0.71234},
        "confusion_matrix": [[40, 2, 0], [1, 57, 3], [0, 4, 20]],
        "labels": ["io", "asyncio", "json"],
        "comparison": {
            "columns": ["Model", "Accuracy", "Macro F1"],
            "rows": [["Pretrained", 0.8434, 0.8123], ["Majority class", 0.4567, 0.0212]],
            "note": "One seed.",
        },
        "lengths": {"train": [5, 7, 9, 40, 12], "test": {"6": 3, "8": 1}},
        "sequence_length": 32,
        "vocabulary": {
            "size": 8000,
            "special_pieces": 5,
            "pieces_by_length": {"word starts": {"3": 4000, "5": 2000}, "continuations": {"2": 1995}},
            "tokens": 120_000,
            "words": 100_000,
            "whole_words": 90_000,
            "unknown_words": 150,
            "used_pieces": 7_200,
            "frequent_pieces": [["the", 5000], ["##s", 2500]],
            "coverage": [[1, 0.05], [100, 0.5], [7200, 1.0]],
        },
        "attention": {"pieces": pieces, "attention": attention.tolist()},
        "answers": [{"text": "Open a file.", "expected": "io", **ways}],
    }


def write_run(folder: Path) -> Path:
    folder.mkdir()
    settings = {"seed": 13, "learning_rate": 5e-5, "model": {"hidden_size": 128, "hidden_act": "gelu_tanh"}}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in make_history())
    (folder / "history.jsonl").write_text(lines, encoding="utf-8")
    (folder / "evaluation.json").write_text(json.dumps(make_evaluation()), encoding="utf-8")
    return folder


@pytest.fixture
def history_rows() -> list[dict[str, Any]]:
    return make_history()


@pytest.fixture
def evaluation() -> dict[str, Any]:
    return make_evaluation()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_run(tmp_path / "demo-run")


@pytest.fixture(scope="session")
def whole_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run with every kind of data, made once for all tests that only read it."""
    folder = write_run(tmp_path_factory.mktemp("run") / "demo-run")
    return write_run_report(folder).read_text(encoding="utf-8")
