"""What the tests of recipes share."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def killed_and_resumed(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, str, Callable[[], Any]], Any]:
    """Runs a function until it calls a function of its module for the second time, and then runs it again."""

    def run_twice(module: ModuleType, name: str, run: Callable[[], Any]) -> Any:
        function, calls = getattr(module, name), []

        def killing(*args: Any) -> Any:
            calls.append(args)
            if len(calls) == 2:
                raise RuntimeError("killed")
            return function(*args)

        monkeypatch.setattr(module, name, killing)
        with pytest.raises(RuntimeError, match="killed"):
            run()
        return run()

    return run_twice
