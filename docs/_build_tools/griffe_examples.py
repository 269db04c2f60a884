"""Adapts docstring sections in Keras's style to those that griffe supports."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Changes docstrings while griffe loads them; the sources keep Keras's style.

    griffe renders `Examples:` as code, not `Example:`, and the entries of `Call arguments:` as one paragraph.
    """

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for every module, class and function."""
        if obj.docstring:
            text = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
            obj.docstring.value = re.sub(r"(?m)^Call arguments:\n(?:    .*\n?)+", _as_list, text)


def _as_list(section: re.Match[str]) -> str:
    return re.sub(r"(?m)^    (\w+): ", r"    * `\1`: ", section[0])
