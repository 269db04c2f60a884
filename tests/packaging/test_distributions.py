"""The files of both distributions: what they contain, and whether a package index would show them."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from .commands import ROOT, run

pytestmark = pytest.mark.timeout(1200)
NAMES = ("kerasbert", "kerasbert-client")


def names_in(path: Path) -> set[str]:
    """The files in a wheel or an sdist; those of an sdist without its top folder."""
    if path.suffix == ".whl":
        return {name for name in zipfile.ZipFile(path).namelist() if not name.endswith("/")}
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


def packages_in(path: Path) -> set[str]:
    return {name for name in names_in(path) if ".dist-info/" not in name}


@pytest.mark.parametrize("name", NAMES)
def test_twine_finds_no_fault_and_the_long_description_renders(built, name, tmp_path):
    files = [str(built[name]), str(built[f"{name} sdist"])]
    assert run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=tmp_path).count("PASSED") == 2


def test_the_wheels_contain_no_generic_names_and_no_common_file(built):
    tops = {name: {file.split("/")[0] for file in packages_in(built[name])} for name in NAMES}
    assert tops["kerasbert"] == {"kerasbert", "kerasbert_pipelines", "kerasbert_serving", "kerasbert_tfx"}
    assert tops["kerasbert-client"] == {"kerasbert_serving"}
    assert not packages_in(built["kerasbert"]) & packages_in(built["kerasbert-client"])
    parts = {name.split("/")[1] for name in packages_in(built["kerasbert-client"])}
    assert parts == {"clients", "load_test", "protos"}


def test_each_source_file_is_in_exactly_one_wheel(built):
    tracked = run("git", "ls-files", "kerasbert", "pipelines/*.py", "serving", "tfx/*.py", cwd=ROOT).split()
    outside = (
        "serving/deploy/",
        "serving/LICENSE",
        "serving/README.md",
        "serving/openapi.yaml",
        "serving/pyproject.toml",
    )
    tracked = [name for name in tracked if not name.startswith(outside)]
    expected = {name if name.startswith("kerasbert/") else f"kerasbert_{name}" for name in tracked}
    packed = packages_in(built["kerasbert"]) | packages_in(built["kerasbert-client"])
    assert expected <= packed, sorted(expected - packed)
    assert not any(name.startswith(("kerasbert_serving/deploy", "tests")) for name in packed)


def test_the_sdist_of_the_client_is_complete(built):
    names = names_in(built["kerasbert-client sdist"])
    assert {"LICENSE", "README.md", "pyproject.toml", "clients/__init__.py", "protos/descriptors.binpb"} <= names
    assert not any(name.startswith(("server/", "deploy/")) for name in names)


def metadata_of(path: Path) -> str:
    archive = zipfile.ZipFile(path)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return archive.read(name).decode("utf-8")


def test_serving_requires_the_client_in_its_own_version(built):
    version = built["kerasbert"].name.split("-")[1]
    required = f'Requires-Dist: kerasbert-client=={version}; extra == "serving"'
    assert required in metadata_of(built["kerasbert"])
    assert built["kerasbert-client"].name.split("-")[1] == version
    assert "License-Expression: Apache-2.0" in metadata_of(built["kerasbert-client"])


def test_both_wheels_share_their_namespace(built, client_environment, tmp_path):
    """Beside the client, the files of the server are found, too."""
    python = client_environment
    folder = tmp_path / "server"
    zipfile.ZipFile(built["kerasbert"]).extractall(folder)
    program = (
        "import importlib.util as u, kerasbert_serving.clients; print(u.find_spec('kerasbert_serving.server').origin)"
    )
    done = subprocess.run(
        [str(python), "-c", program], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(folder / "kerasbert_serving" / "server" / "__init__.py")
