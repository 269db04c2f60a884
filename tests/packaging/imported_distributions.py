"""Which distributions the sources import, read from the `import` statements."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

from .commands import ROOT

FOLDERS = {
    "kerasbert": "kerasbert",
    "kerasbert_tfx": "tfx",
    "kerasbert_pipelines": "pipelines",
    "kerasbert_serving": "serving",
}
# Modules whose distribution their top-level name does not tell.
_NAMESPACES = {
    "google.protobuf": "protobuf",
    "google.cloud.aiplatform": "google-cloud-aiplatform",
    "google.auth": "google-auth",
    "google.cloud.storage": "google-cloud-storage",
    "kfp.pipeline_spec": "kfp-pipeline-spec",
    "pydantic_core": "pydantic",  # which requires it in exactly one version
}


def normalized(name: str) -> str:
    """The name of a distribution in its normalized form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(lines: str | list[str]) -> set[str]:
    """The distributions that requirement lines name."""
    lines = lines.splitlines() if isinstance(lines, str) else lines
    return {normalized(re.match(r"[\w.-]+", line.strip())[0]) for line in lines if line.strip()}


def imported(*patterns: str) -> set[str]:
    """The third-party distributions that the matching files import.

    Args:
        patterns: Patterns of paths below the repository's root.
    """
    found = set()
    for pattern in patterns:
        paths = sorted(ROOT.glob(pattern))
        assert paths, pattern
        for path in paths:
            found |= {_distribution(module) for module in _modules(path)}
    return found - {None}


def _modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


# Python 3.10 does not find the modules of every distribution.
_DISTRIBUTIONS = {**importlib.metadata.packages_distributions(), "sklearn": ["scikit-learn"]}


def _distribution(module: str) -> str | None:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in FOLDERS:
        return None
    for prefix, name in _NAMESPACES.items():
        if f"{module}.".startswith(f"{prefix}."):
            return name
    if top == "google":
        return None  # `from google import protobuf` is `google.protobuf`, too
    names = {normalized(name) for name in _DISTRIBUTIONS.get(top, [top])}
    return top if top in names else min(names, key=len)
