"""Files and folders are replaced as a whole, whatever happens in between."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kerasbert import files
from kerasbert.files import link_rest, restore_folder, write_aside, write_folder_aside

# Loaded by its path: the package would import Keras, which takes seconds.
LOAD = f"""
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("files", {files.__file__!r})
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)

def replace(folder, content):
    with files.write_folder_aside(folder) as aside:
        for index in range(5):
            (aside / f"part{{index}}").write_text(content)
"""


def contents(folder: Path) -> set[str]:
    """What the five files of a folder say."""
    assert sorted(child.name for child in folder.iterdir()) == [f"part{index}" for index in range(5)]
    return {child.read_text() for child in folder.iterdir()}


def write(folder: Path, content: str) -> None:
    with write_folder_aside(folder) as aside:
        for index in range(5):
            (aside / f"part{index}").write_text(content)


@pytest.fixture
def old_umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("old_umask")
def test_new_files_and_folders_have_the_permissions_of_any_other(tmp_path, monkeypatch):
    def refuse(mask):
        raise AssertionError("the umask belongs to the whole process")

    monkeypatch.setattr(os, "umask", refuse)
    with write_aside(tmp_path / "file.txt") as aside:
        aside.write_text("x")
    write(tmp_path / "folder", "x")
    monkeypatch.undo()
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def fail_in_the_middle(write_it, path: Path) -> None:
    with write_it(path) as aside:
        (aside / "part0" if aside.is_dir() else aside).write_text("new")
        raise RuntimeError


def test_an_error_leaves_the_previous_content(tmp_path):
    write(tmp_path / "folder", "old")
    (tmp_path / "file.txt").write_text("old")
    with pytest.raises(RuntimeError):
        fail_in_the_middle(write_folder_aside, tmp_path / "folder")
    with pytest.raises(RuntimeError):
        fail_in_the_middle(write_aside, tmp_path / "file.txt")
    assert contents(tmp_path / "folder") == {"old"}
    assert (tmp_path / "file.txt").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["file.txt", "folder"]


def test_a_folder_without_exchange_is_replaced_and_restored_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    folder = tmp_path / "folder"
    write(folder, "old")
    write(folder, "new")
    assert contents(folder) == {"new"}
    rename = os.rename

    def fail(source, target):
        if Path(target) == folder and not str(source).endswith(".replaced"):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="no"):
        write(folder, "newer")
    assert contents(folder) == {"new"}
    assert os.listdir(tmp_path) == ["folder"]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write(tmp_path / "run1", "old")
    (tmp_path / "latest").symlink_to("run1")
    write(tmp_path / "latest", "new")
    assert (tmp_path / "latest").is_symlink()
    assert contents(tmp_path / "run1") == {"new"}


def test_the_current_folder_is_replaced_and_read(tmp_path, monkeypatch):
    write(tmp_path / "folder", "old")
    monkeypatch.chdir(tmp_path / "folder")
    for path in (".", "..", "/"):
        restore_folder(path)
    write(Path("."), "new")
    assert contents(tmp_path / "folder") == {"new"}
    monkeypatch.chdir(tmp_path)


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    name = "ä" * 127
    write(tmp_path / name, "long")
    write(tmp_path / name, "longer")
    assert contents(tmp_path / name) == {"longer"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot exchange two names")
def test_a_kill_at_any_moment_leaves_a_whole_folder(tmp_path):
    folder = tmp_path / "folder"
    write(folder, "0")
    code = LOAD + textwrap.dedent("""
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            replace(sys.argv[1], str(number))
    """)
    for delay in (0.0, 0.003, 0.007, 0.013, 0.02, 0.031):
        with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.kill()
        assert process.returncode == -signal.SIGKILL
        assert len(contents(folder)) == 1


@pytest.mark.parametrize("kill_before", [1, 2, 3])
def test_a_kill_between_the_renames_of_the_fallback_loses_nothing(kill_before, tmp_path):
    folder = tmp_path / "folder"
    write(folder, "old")
    code = LOAD + textwrap.dedent("""
        files._exchange = lambda one, other: False
        rename, rmtree, calls = os.rename, files.shutil.rmtree, []

        def count(function):
            def counted(*arguments, **options):
                calls.append(function)
                if len(calls) == int(sys.argv[2]):
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)
            return counted

        os.rename = count(rename)
        files.shutil.rmtree = lambda path, **options: options or count(rmtree)(path)
        replace(sys.argv[1], "new")
    """)
    result = subprocess.run([sys.executable, "-c", code, str(folder), str(kill_before)], check=False)
    assert result.returncode == -signal.SIGKILL
    restore_folder(folder)
    assert contents(folder) == {"new" if kill_before == 3 else "old"}
    write(folder, "newer")
    assert contents(folder) == {"newer"}


def test_the_rest_of_a_folder_is_linked_and_not_copied(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / ".git/objects").mkdir(parents=True)
    (source / ".git/objects/ab").write_bytes(b"object")
    (source / "README.md").write_text("old")
    (source / "config.json").write_text("old")
    (source / "link").symlink_to("README.md")
    target.mkdir()
    (target / "README.md").write_text("new")
    link_rest(source, target, lambda path: path.name == "config.json")
    assert (target / "README.md").read_text() == "new"
    assert not (target / "config.json").exists()
    assert os.readlink(target / "link") == "README.md"
    assert (target / ".git/objects/ab").stat().st_ino == (source / ".git/objects/ab").stat().st_ino
