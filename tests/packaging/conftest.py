"""Both distributions, built once from a clone of the sources."""

import subprocess
import sys
from pathlib import Path

import pytest

from .commands import ROOT, run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of `kerasbert` and `kerasbert-client`: a wheel by the name, and an sdist by the name and " sdist".

    A wheel is built from the sdist, as pip does it where it finds no wheel.
    """
    folder = tmp_path_factory.mktemp("built")
    # The sources are cloned, so that a file unknown to git cannot make the build succeed here only.
    run("git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(folder / "sources"), cwd=folder)
    files = {}
    for name, sources in (("kerasbert", folder / "sources"), ("kerasbert-client", folder / "sources" / "serving")):
        out = folder / name
        run(sys.executable, "-m", "build", "--outdir", str(out), str(sources), cwd=folder)
        (files[name],) = out.glob("*.whl")
        (files[f"{name} sdist"],) = out.glob("*.tar.gz")
    return files


def make_environment(folder: Path, *requirements: str) -> Path:
    """The interpreter of a new virtual environment with only the requirements and what they require."""
    uv = str(Path(sys.executable).parent / "uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"), cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        str(python),
        "-c",
        str(_constraints(folder)),
        *requirements,
        cwd=folder,
    )
    return python


def _constraints(folder: Path) -> Path:
    """The packages of this environment in their versions, without those that are installed from the sources."""
    frozen = subprocess.run(
        [str(Path(sys.executable).parent / "uv"), "pip", "freeze", "--exclude-editable", "--python", sys.executable],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    path = folder / "constraints.txt"
    path.write_text("\n".join(line for line in frozen.splitlines() if "==" in line), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def empty_environment(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of kerasbert, without extras."""
    return make_environment(tmp_path_factory.mktemp("environment"), str(built["kerasbert"]))


@pytest.fixture(scope="session")
def client_environment(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of kerasbert-client."""
    return make_environment(tmp_path_factory.mktemp("client"), str(built["kerasbert-client"]))
