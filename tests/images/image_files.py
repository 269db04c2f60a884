"""Looks at the files of an image, which are mounted on this machine."""

import os
import stat
from pathlib import Path

PACKAGES = "opt/kerasbert/lib/python3.13/site-packages"


def paths(root: Path) -> set[str]:
    """Returns all files, links and folders, relative to the root."""
    return {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, names in os.walk(root)
        for name in [*folders, *names]
    }


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)


def largest_packages(packages: Path, number: int) -> list[tuple[str, int]]:
    """Returns the largest entries of a folder of installed packages."""
    sizes = {path.name: size(path) for path in packages.iterdir()}
    return sorted(sizes.items(), key=lambda item: -item[1])[:number]


def world_writable(root: Path) -> set[str]:
    """Returns the files and folders that every user may change, without folders such as /tmp (with the sticky bit)."""
    modes = {path: (root / path).lstat().st_mode for path in paths(root)}
    return {
        path
        for path, mode in modes.items()
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    }


def bytecode_by_time(packages: Path) -> tuple[int, set[str]]:
    """Counts compiled modules, and finds those that Python would ignore if their source had another time.

    Returns:
        The number of all compiled modules, and the packages that contain such modules.
    """
    compiled = list(packages.rglob("__pycache__/*.pyc"))
    by_time = {path for path in compiled if not path.read_bytes()[4] & 1}
    return len(compiled), {path.relative_to(packages).parts[0] for path in by_time}
