"""Renders `Example:` sections of docstrings as code, as griffe does with `Examples:` only."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Renames the heading while griffe loads a docstring; the sources keep Keras's spelling."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for every module, class and function."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
