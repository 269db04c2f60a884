"""Builds images from the Dockerfiles with buildah, in a chroot and in a storage of their own, and runs them.

There is no daemon and no registry. What a build needs of this machine (the settings of package indexes, and
certificates) is mounted, so that nothing of it remains in an image.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PACKAGES = "ca-certificates,libpython3-dev,python3,python3-pip,python3-venv"
_PATHS_HERE = ("PIP_CERT", "PIP_CONFIG_FILE", "PIP_FIND_LINKS")  # Paths of this machine.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Builder:
    """Images in a storage of their own.

    Args:
        folder: An empty folder for the storage. Every layer is a whole copy of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._buildah = [
            *("buildah", "--storage-driver", "vfs"),
            *("--root", str(folder / "storage"), "--runroot", str(folder / "running")),
        ]

    def call(self, *words: object, prefix: Sequence[str] = ()) -> str:
        """Runs a command of buildah, and returns what it prints."""
        command = [*prefix, *self._buildah, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def build(
        self, name: str, dockerfile: Path, context: Path, arguments: Mapping[str, str], target: str | None = None
    ) -> float:
        """Builds an image, and returns the seconds that it took."""
        start = time.monotonic()
        self.call(
            *("bud", "--isolation", "chroot", "--layers=false", "--format", "docker", "--file", dockerfile),
            *(word for item in arguments.items() for word in ("--build-arg", "=".join(item))),
            *(["--target", target] if target else []),
            *(word for volume in index_settings(self.folder) for word in ("--volume", volume)),
            *("--tag", name, context),
        )
        return time.monotonic() - start

    def config(self, name: str) -> dict[str, Any]:
        """Returns how an image's containers are started: user, environment, command."""
        config: dict[str, Any] = json.loads(self.call("inspect", "--type", "image", name))["Docker"]["config"]
        return config

    @contextlib.contextmanager
    def container(self, image: str) -> Iterator["Container"]:
        """Makes a container of an image, and removes it afterwards."""
        name = self.call("from", "--pull=false", image).strip()
        try:
            yield Container(self, name, Path(self.call("mount", name).strip()))
        finally:
            self.call("rm", name)

    def make_base(self, name: str) -> None:
        """Makes the stand-in for the image python:3.13-slim-trixie: Debian 13 with its own Python 3.13.

        It is larger than the original, because Debian splits Python into more packages with documentation.
        """
        root = self.folder / "debian"
        mirror = [os.environ["DEBIAN_MIRROR"]] if "DEBIAN_MIRROR" in os.environ else []
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "trixie", str(root), *mirror]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        # As in the original: there is a `python`, pip may install packages, and no package lists are kept.
        (root / "usr/bin/python").symlink_to("python3")
        next(root.glob("usr/lib/python3*/EXTERNALLY-MANAGED")).unlink()
        for kept in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(root / kept)
            (root / kept).mkdir()
        self.import_root(root, name)
        shutil.rmtree(root)

    def import_root(self, root: Path, name: str) -> None:
        """Makes an image of the files in a folder."""
        container = self.call("from", "scratch").strip()
        subprocess.run(["cp", "-a", f"{root}/.", self.call("mount", container).strip()], check=True)
        self.call("config", "--env", f"PATH={_PATH}", container)
        self.call("commit", "--format", "docker", "--rm", container, name)


class Container:
    """The files of an image, in which commands run.

    Attributes:
        root: Where the files are on this machine.
    """

    def __init__(self, builder: Builder, name: str, root: Path) -> None:
        self._builder, self._name, self.root = builder, name, root

    def run(
        self,
        *command: str,
        user: str | None = None,
        volumes: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        network: bool = False,
    ) -> str:
        """Runs a command as the image's user, by default without a network, and returns what it prints."""
        # In a chroot, buildah cannot make a network of its own.
        alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$0" "$@"']
        return self._builder.call(
            *("run", "--isolation", "chroot"),
            *(["--user", user] if user else []),
            *(word for volume in volumes for word in ("--volume", volume)),
            *(word for item in (environment or {}).items() for word in ("--env", "=".join(item))),
            *(self._name, "--", *command),
            prefix=[] if network else alone,
        )


def index_settings(folder: Path) -> list[str]:
    """Returns the volumes with this machine's settings for package indexes, and its certificates.

    Args:
        folder: Where to write settings that this machine has as environment variables.
    """
    pip, uv = folder / "pip.conf", folder / "uv.toml"
    files = [Path(path) for path in ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.config/uv/uv.toml")]
    volumes = [
        f"{path.expanduser()}:{str(path).replace('~', '/root')}:ro" for path in files if path.expanduser().is_file()
    ]
    given = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and name not in _PATHS_HERE
    }
    pip.write_text("".join(["[global]\n", *(f"{name} = {value}\n" for name, value in given.items())]))
    index = os.environ.get("UV_INDEX_URL") or os.environ.get("UV_DEFAULT_INDEX") or given.get("index-url")
    uv.write_text("native-tls = true\n" + (f"index-url = {json.dumps(index)}\n" if index else ""))
    volumes += [f"{pip}:/root/.pip/pip.conf:ro", f"{uv}:/etc/uv/uv.toml:ro"]
    return [*volumes, f"{CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.is_file() else volumes
