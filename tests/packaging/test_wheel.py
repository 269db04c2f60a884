"""A wheel, built from the sources, installed without extras in an empty environment, and imported there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "requirements" / f"python{sys.version_info.major}.{sys.version_info.minor}.txt"
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


def run(*command: str, cwd: Path) -> str:
    """Standard output of a command that must succeed; both streams are in the failure's message."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # The sources are cloned, so that a file git does not know cannot make the build work here only.
    run("git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(folder / "sources"), cwd=folder)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(folder / "sources"), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment that holds the wheel and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    uv = str(Path(sys.executable).parent / "uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"), cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", str(python), "-c", str(CONSTRAINTS), str(wheel), cwd=folder)
    return python


def test_wheel_holds_no_generic_names(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = {"kerasbert", "kerasbert_pipelines", "kerasbert_serving", "kerasbert_tfx"}
    assert {name for name in names if not name.endswith(".dist-info")} == packages


def test_wheel_carries_every_source_file(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    patterns = ("kerasbert", "pipelines/*.py", "serving/*.py", "serving/server", "tfx/*.py")
    tracked = run("git", "ls-files", *patterns, cwd=ROOT).split()
    expected = {name if name.startswith("kerasbert/") else f"kerasbert_{name}" for name in tracked}
    assert expected <= packed, sorted(expected - packed)


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
