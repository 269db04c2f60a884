"""Reads a YAML file of settings, in which no name may occur twice."""

from pathlib import Path
from typing import Any

import yaml

from kerasbert.errors import BadInputError

_RULE = "A settings file must be YAML with one `setting: value` per line."


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads the settings in a YAML file.

    Raises:
        BadInputError: The file is missing or not YAML, or contains something other than `setting: value` lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{_RULE} Received: '{path}' ({reason}). Check the path.") from error
    try:
        values = yaml.load(text, _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-45
        raise BadInputError(f"{_RULE} Received: '{path}' ({' '.join(str(error).split())}). Correct it.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadInputError(
            f"{_RULE} Received: '{path}', which contains a {type(values).__name__}. For example, `seed: 1`."
        )
    return {str(name): value for name, value in values.items()}


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a name that occurs twice, because YAML's loader would silently use the last one."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Returns the mapping as it is written, before `<<` merges names that it may override."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a name must be text", key.start_mark)
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` occurs twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node
