"""The public names are a contract: changes are deliberate, and the API reference shows each name with an example."""

import json
from pathlib import Path

import griffe
import pytest

ROOT = Path(__file__).parents[2]
FROZEN = Path(__file__).with_name("public_names.json")
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/api").glob("*.md"))


@pytest.fixture(scope="module")
def packages() -> dict[str, griffe.Module]:
    loaded = griffe.load("kerasbert", search_paths=[str(ROOT)])
    found = {module.path: module for name, module in loaded.modules.items() if module.exports and name != "cli"}
    clients = griffe.load("clients", search_paths=[str(ROOT / "serving")])
    return {**found, "kerasbert_serving.clients": clients}


def test_the_public_names_match_the_frozen_list(packages: dict[str, griffe.Module]) -> None:
    names = {path: sorted(map(str, module.exports or ())) for path, module in sorted(packages.items())}
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert names == frozen, f"Write the change into CHANGELOG.md and {FROZEN.name}:\n{json.dumps(names, indent=2)}"


def test_the_api_reference_has_every_package(packages: dict[str, griffe.Module]) -> None:
    assert [path for path in packages if f"::: {path}\n" not in PAGES] == []


def test_every_public_name_has_an_example(packages: dict[str, griffe.Module]) -> None:
    without = [
        f"{path}.{name}"
        for path, module in packages.items()
        if path.startswith("kerasbert.")
        for name in module.exports or ()
        if not _has_example(module.members[str(name)])
    ]
    assert without == []


def _has_example(member: griffe.Object | griffe.Alias) -> bool:
    target = member.final_target if member.is_alias else member
    if target.is_module and target.name in target.members:  # a function with the name of its module
        target = target.members[target.name]
    # Constants have no docstrings.
    return target.is_attribute or bool(target.docstring and "Example:" in target.docstring.value)
