"""The wheel of kerasbert, installed without extras in an empty environment."""

import subprocess
from pathlib import Path

import pytest

from .commands import run

PACKAGES = [
    "checkpoints",
    "config",
    "data",
    "export",
    "layers",
    "models",
    "preprocessing",
    "recipes",
    "reports",
    "training",
]
FORBIDDEN = [
    "tfx.components",
    "apache_beam",
    "grpc",
    "starlette",
    "uvicorn",
    "httpx",
    "requests",
    "tensorflow_serving",
    "matplotlib",
]

pytestmark = pytest.mark.timeout(1200)


def test_every_package_imports_without_extras(empty_environment: Path, tmp_path: Path) -> None:
    # What TensorFlow itself imports (`requests`, for one) is not ours.
    program = (
        "import sys, kerasbert; light = 'tensorflow' not in sys.modules\n"
        "import tensorflow, tensorflow_text, keras; before = set(sys.modules)\n"
        + "\n".join(f"import kerasbert.{package}" for package in PACKAGES)
        + f"\nprint(light, [name for name in {FORBIDDEN} if name in set(sys.modules) - before])"
    )
    assert run(str(empty_environment), "-c", program, cwd=tmp_path).split("\n")[-2] == "True []"


def test_command_line_helps_without_extras(empty_environment: Path, tmp_path: Path) -> None:
    printed = run(str(empty_environment.parent / "kerasbert"), "--help", cwd=tmp_path)
    assert "pretrain" in printed
    assert "serve" in printed


def test_missing_extra_is_one_line_that_says_what_to_install(empty_environment: Path, tmp_path: Path) -> None:
    command = [str(empty_environment.parent / "kerasbert"), "serve", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert 'pip install "kerasbert[serving]"' in line
