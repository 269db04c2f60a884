"""The blocking clients are what the script makes of the asynchronous ones."""

import pytest

pytest.importorskip("unasync")

from .make_blocking_clients import CLIENTS, write


def test_the_generated_clients_are_current(tmp_path):
    write(tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.py")}
    committed = {path.name: path.read_text(encoding="utf-8") for path in (CLIENTS / "blocking").glob("*.py")}
    assert made == committed, "Run: python tests/serving/clients/make_blocking_clients.py"
    assert not any("async" in text.replace("asynchronous", "") for text in made.values())
