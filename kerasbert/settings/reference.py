"""What is written from the declarations of settings: tables for the documentation, and JSON schemas for editors."""

import dataclasses
import json
from typing import Any

from pydantic import TypeAdapter

from kerasbert.settings.setting_info import SettingInfo, settings_of

_TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text", dict: "mapping"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
# A limit that nobody reaches is not worth a place in a table.
_LARGE = 2**31 - 1


def settings_table(settings_class: type, own: bool = True) -> str:
    """Returns a Markdown table of the settings of a class: name, type and range, default, meaning.

    Args:
        settings_class: The class.
        own: Whether settings that the class inherits unchanged are left out.
    """
    inherited = _inherited(settings_class) if own else {}
    infos = [info for name, info in settings_of(settings_class).items() if inherited.get(name) != info]
    rows = [(f"`{info.name}`", _type_in_words(info), _default_in_words(info), _cell(info.help)) for info in infos]
    lines = [("Setting", "Type and range", "Default", "Meaning"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def json_schema(settings_class: type, title: str) -> dict[str, Any]:
    """Returns the JSON schema of a file of settings, by which editors complete and check YAML.

    Args:
        settings_class: The class.
        title: A title for the schema.
    """
    schema: dict[str, Any] = TypeAdapter(settings_class).json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        for description in part["properties"].values():
            description.pop("title", None)
    for info in settings_of(settings_class).values():
        schema["properties"] |= dict.fromkeys(info.aliases, schema["properties"][info.name])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def json_text(schema: dict[str, Any]) -> str:
    """Returns a JSON schema as it is written to a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _inherited(settings_class: type) -> dict[str, SettingInfo]:
    """The settings of the classes that a class extends; of two with one name the one that counts."""
    inherited: dict[str, SettingInfo] = {}
    for base in reversed(settings_class.__mro__[1:]):
        if hasattr(base, "__pydantic_fields__"):
            inherited |= settings_of(base)
    return inherited


def _type_in_words(info: SettingInfo) -> str:
    """A setting's type and range, e.g. "number, > 0 and < 1"."""
    if info.own_rule:
        return info.own_rule.text
    if info.choices:
        return ", ".join(f"`{choice}`" for choice in info.choices)
    words = "path" if info.is_path else _TYPES.get(info.kind, "mapping")
    words = f"list of {words}s" if info.is_list else words
    bounds = [f"{_SIGNS[bound]} {value}" for bound, value in info.bounds.items() if value < _LARGE]
    return f"{words}, {' and '.join(bounds)}" if bounds else words


def _default_in_words(info: SettingInfo) -> str:
    """A setting's default; nothing where the meaning says what is done without a value."""
    if info.default is dataclasses.MISSING:
        return "required"
    if info.default in (None, "", (), {}) or info.kind is info.item_class:
        return ""
    text = {True: "true", False: "false"}.get(info.default) if info.kind is bool else str(info.default)
    return f"`{text}`"


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|")
