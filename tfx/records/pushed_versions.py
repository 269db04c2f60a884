"""The numbered folders of pushed models, on any file system. For writing them, see `components/model_pusher.py`."""

from tfx.dsl.io import fileio


def pushed_versions(push_folder: str) -> list[int]:
    """Returns the version numbers in a folder of pushed models, in ascending order."""
    if not fileio.isdir(push_folder):
        return []
    names = [name.rstrip("/") for name in fileio.listdir(push_folder)]
    versions = sorted(int(name) for name in names if name.isascii() and name.isdigit())
    return [version for version in versions if fileio.isdir(version_folder(push_folder, version))]


def version_folder(push_folder: str, version: int) -> str:
    """Returns the folder of one version."""
    return f"{push_folder.rstrip('/')}/{version}"


def newest_version(push_folder: str) -> str | None:
    """Returns the folder of the newest pushed model, or None if there is none."""
    versions = pushed_versions(push_folder)
    return version_folder(push_folder, versions[-1]) if versions else None
