"""The environment of a local run: folders, a log file, a folder for temporary files, and no proxy to this machine."""

import contextlib
import datetime
import logging
import multiprocessing.util
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from absl import logging as absl_logging

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import PipelineSettings
from kerasbert_tfx.records.remote_folders import is_remote

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare_folders(settings: PipelineSettings) -> Path:
    """Creates the local folders that a run needs, and the empty file for its log.

    Raises:
        BadInputError: If a folder cannot be written, or if `metadata_path` is not on this machine.
    """
    if is_remote(settings.metadata_path):
        raise BadInputError(
            "A local run keeps its metadata in a file on this machine. Received: "
            f"metadata_path={settings.metadata_path!r}. Set `metadata_path` to a local file, e.g. 'metadata.sqlite'."
        )
    is_local = not is_remote(settings.pipeline_root)
    metadata_folder = Path(settings.metadata_path).parent
    logs = Path(settings.pipeline_root, "logs") if is_local else metadata_folder / "logs"
    log = logs / f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        metadata_folder.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        name = "pipeline_root" if is_local else "metadata_path"
        raise BadInputError(
            f"`{name}` must be in a writable folder. Received: {name}={getattr(settings, name)!r} "
            f"({error.strerror or error}). Free space, change its permissions, or choose another folder."
        ) from error
    return log


@contextlib.contextmanager
def surroundings(log: Path) -> Iterator[None]:
    """Sets up logging, temporary files and proxies for the time of a run."""
    with _logged_to(log), _temporary_files_removed(), _changed_environment(without_proxy_to_this_machine(os.environ)):
        yield


def without_proxy_to_this_machine(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment variables that exclude this machine from the proxies, in addition to the user's hosts.

    gRPC, requests and Docker's client all send requests to `localhost` through `http_proxy` unless `no_proxy` names
    it. Beam's worker processes and TensorFlow Serving's container are reached there.

    Example:
        >>> without_proxy_to_this_machine({"http_proxy": "http://proxy:3128", "no_proxy": "intra.net"})["no_proxy"]
        'intra.net,localhost,127.0.0.1,::1'
        >>> without_proxy_to_this_machine({})
        {}
    """
    if not any(environment.get(name) for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")):
        return {}
    given = ",".join(filter(None, (environment.get("no_proxy"), environment.get("NO_PROXY"))))
    hosts = list(dict.fromkeys(host.strip() for host in given.split(",") if host.strip()))
    listed = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    return {"no_proxy": listed, "NO_PROXY": listed, "no_grpc_proxy": listed}


@contextlib.contextmanager
def _changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Gives this process and its children a folder for temporary files that is removed at the end.

    TFX and Beam never remove theirs: with Beam arguments, TFX builds a package of itself (42 MB) for each component.
    """
    # The sockets of `multiprocessing` are in a folder that it creates once and keeps for the life of the process.
    multiprocessing.util.get_temp_dir()
    with tempfile.TemporaryDirectory(prefix="kerasbert-", ignore_cleanup_errors=True) as folder:
        earlier = tempfile.tempdir
        tempfile.tempdir = folder
        try:
            with _changed_environment({"TMPDIR": folder}):
                yield
        finally:
            tempfile.tempdir = earlier


@contextlib.contextmanager
def _logged_to(log: Path) -> Iterator[None]:
    """Sends log lines to a file, and none to the terminal."""
    root = logging.getLogger()
    handlers, level, verbosity = root.handlers[:], root.level, absl_logging.get_verbosity()
    handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    try:
        yield
    finally:
        absl_logging.set_verbosity(verbosity)
        root.handlers, root.level = handlers, level
        handler.close()
