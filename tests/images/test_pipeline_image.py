"""The image of the pipelines' steps, built from its Dockerfile: size, user, files, versions and commands.

test_pipelines_in_the_image.py runs pipelines in it.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .buildah import index_settings
from .conftest import ROOT
from .image_files import PACKAGES, bytecode_by_time, largest_packages, paths, size, world_writable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

DOCKERFILE = ROOT / "pipelines/deploy/Dockerfile"
CONSTRAINTS = ROOT / "requirements/tfx1.21.txt"
UV = str(Path(sys.executable).with_name("uv").resolve())
# In bytes, with all files of the base. A larger image needs a reason.
LARGEST = 3.2e9


def test_the_image_is_small(pipeline_root, base_root, builder, show):
    whole, base = size(pipeline_root), size(base_root)
    show(f"Built in {(builder.folder / 'seconds').read_text()} s: {whole / 1e6:,.0f} MB, base {base / 1e6:,.0f} MB")
    for name, number in largest_packages(pipeline_root / PACKAGES, 15):
        show(f"  {name:40}{number / 1e6:8,.1f} MB")
    assert whole < LARGEST


def test_the_image_adds_only_the_environment_and_a_working_folder(pipeline_root, base_root):
    added = paths(pipeline_root) - paths(base_root)
    places = {"/".join(path.split("/")[:2]) for path in added}
    assert places == {"opt/kerasbert", "pipeline"}
    # Neither compilers and installers, nor what they leave.
    programs = {path.rpartition("/")[2] for path in added if "/bin/" in path}
    assert {"kerasbert", "python", "pip"} <= programs
    assert not programs & {"gcc", "g++", "cc", "c++", "ld", "make", "uv", "uvx"}
    assert not {path for path in added if "/.cache" in path or path.startswith(f"{PACKAGES}/tensorflow/include")}


def test_no_user_may_change_the_files(pipeline_root):
    assert world_writable(pipeline_root) == set()
    owned = {path for path in paths(pipeline_root) if (pipeline_root / path).lstat().st_uid}
    assert owned == set()


def test_steps_run_without_root_and_have_a_home_and_a_name(pipeline_container, builder, pipeline_image):
    config = builder.config(pipeline_image)
    assert config["User"] == "1000:1000"
    code = """
import getpass, os, pathlib, tempfile
home = pathlib.Path.home()
(home / 'file').write_text('text')
(home / 'file').unlink()
capabilities = [line for line in open('/proc/self/status') if line.startswith('CapEff')][0].split()[1]
print(os.getuid(), os.getgid(), home, getpass.getuser(), int(capabilities, 16), os.access('/opt/kerasbert', os.W_OK))
"""
    assert pipeline_container.run("python", "-c", code).split() == ["1000", "1000", "/tmp", "kerasbert", "0", "False"]


def test_every_file_of_our_packages_is_installed(pipeline_root):
    packages = pipeline_root / PACKAGES
    tracked = subprocess.run(
        ["git", "ls-files", "kerasbert", "pipelines", "tfx", "serving/server"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    installed_as = {"kerasbert": "kerasbert", "pipelines": "kerasbert_pipelines", "tfx": "kerasbert_tfx"}
    different = []
    for name in tracked:
        top, _, rest = name.partition("/")
        target = packages / installed_as.get(top, "kerasbert_serving") / rest
        if not target.is_file() or target.read_bytes() != (ROOT / name).read_bytes():
            different.append(name)
    # Files for people and their tools, which no code reads.
    assert {Path(name).parent.as_posix() for name in different} == {"pipelines/deploy", "pipelines/schemas"}


def test_the_versions_are_those_of_the_constraints_and_fit_together(pipeline_container):
    volumes = [f"{UV}:/uv:ro"]
    python = ("--python", "/opt/kerasbert/bin/python")
    pipeline_container.run("/uv", "pip", "check", *python, volumes=volumes)
    known = set(re.findall(r"(?m)^([\w.-]+==[\w.+]+)", CONSTRAINTS.read_text()))
    frozen = pipeline_container.run("/uv", "pip", "freeze", *python, volumes=volumes).split("\n")
    installed = {line for line in frozen if "==" in line}
    assert len(installed) > 100
    # pip came with the environment.
    assert {line.partition("==")[0] for line in installed - known} <= {"pip"}


def test_bytecode_does_not_depend_on_times_and_speeds_up_the_import(pipeline_root, pipeline_container, show):
    number, by_time = bytecode_by_time(pipeline_root / PACKAGES)
    assert number > 10_000
    # pip came with the environment.
    assert by_time <= {"pip"}
    code = "import time; start = time.monotonic(); import tfx.components; print(time.monotonic() - start)"
    seconds = {}
    for name, environment in {
        "cold": {},
        "with bytecode": {},
        "without bytecode": {"PYTHONPYCACHEPREFIX": "/nowhere"},
    }.items():
        seconds[name] = float(pipeline_container.run("python", "-c", code, environment=environment).split()[-1])
    show("import tfx.components: " + ", ".join(f"{value:.1f} s {name}" for name, value in seconds.items()))
    assert seconds["with bytecode"] < seconds["without bytecode"]


def test_the_commands_work(pipeline_container, builder, pipeline_image):
    from kerasbert.version import __version__

    assert pipeline_container.run("kerasbert", "--version") == f"kerasbert, version {__version__}\n"
    assert "submit" in pipeline_container.run(*builder.config(pipeline_image)["Cmd"])
    for kind in ("pretrain", "fine-tune"):
        schema = ROOT / f"pipelines/schemas/{kind}.schema.json"
        assert pipeline_container.run("kerasbert", "pipeline", "schema", kind) == schema.read_text()


# === The variant for GPUs, whose libraries are resolved but not installed ===


def test_the_libraries_for_gpus_resolve_and_change_no_installed_version(pipeline_container, tmp_path, show):
    (command,) = re.findall(r'(?m)^RUN (uv pip install .*"tensorflow\[and-cuda\]")', DOCKERFILE.read_text())
    command = command.replace("uv pip install", "/uv pip install --dry-run --python /opt/kerasbert/bin/python")
    command = command.replace("requirements/", "/requirements/")
    volumes = [*index_settings(tmp_path), f"{UV}:/uv:ro", f"{ROOT / 'requirements'}:/requirements:ro"]
    run_as = {"user": "root", "network": True, "environment": {"HOME": "/root"}}
    output = pipeline_container.run("bash", "-c", f"{command} 2>&1", volumes=volumes, **run_as)
    changes = re.findall(r"(?m)^ ([-+~]) (\S+)$", output)
    show("The variant for GPUs adds " + ", ".join(name for _, name in changes))
    assert {sign for sign, _ in changes} == {"+"}
    assert all(name.startswith("nvidia-") for _, name in changes)
    assert {"nvidia-cudnn", "nvidia-cublas", "nvidia-nccl"} <= {name.rpartition("-cu")[0] for _, name in changes}
