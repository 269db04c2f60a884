"""Decides which versions of which models are served, and loads and unloads them.

The model folders are watched. A new version is loaded and warmed up before the old one is unloaded (TensorFlow
Serving's availability-preserving policy). If it fails to load, the old one is still served, and the status of the new
one reports the reason. All of this runs in separate threads.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kerasbert_serving.server.models.config_files import ModelConfig
from kerasbert_serving.server.models.model_versions import ModelVersion, State, fingerprint, version_folders
from kerasbert_serving.server.models.servable import Servable
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument, unexpected

log = logging.getLogger("kerasbert_serving")

Load = Callable[[str, int, Path], Servable]


class ModelStore:
    """The models of a server.

    Args:
        load: Loads and warms up a version, given the model name, version number and folder. Returns a servable.
        allow_labels_for_unavailable: Whether a new label may name a version that is not available.
        retries: How often loading is tried again before the version counts as failed.
        retry_seconds: The pause before loading is tried again.
        drain_seconds: How long to wait for the requests that use a version before it is unloaded.
    """

    def __init__(
        self,
        load: Load,
        allow_labels_for_unavailable: bool = False,
        retries: int = 0,
        retry_seconds: float = 1,
        drain_seconds: float | None = None,
    ):
        self._load = load
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._retries = retries
        self._retry_seconds = retry_seconds
        self._drain_seconds = drain_seconds
        self._configs: dict[str, ModelConfig] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._versions: dict[str, dict[int, ModelVersion]] = {}
        self._lock = threading.Lock()  # guards the three attributes above
        self._changing = threading.RLock()  # held while versions are loaded and unloaded
        self._published = 0  # how many versions have become available so far
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    # === Requests ===

    @contextmanager
    def lease(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """Yields the servable for a request, and keeps it loaded until the block ends.

        Args:
            name: The model name.
            version: The version number, or None for the newest available version.
            label: The version label, or None.

        Raises:
            ServingError: INVALID_ARGUMENT if the name is empty or the label is unknown, NOT_FOUND if no such version is
                available.
        """
        if not name:
            raise invalid_argument("ModelSpec has no name specified.")
        if label is not None:
            version = self._version_of_label(name, label)
        published = None
        while published != self._published:  # try again if a newer version has just replaced this one
            published = self._published
            for candidate in self._candidates(name, version):
                with candidate.in_use() as servable:
                    if servable is not None:
                        yield servable
                        return
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")

    def versions(self, name: str, version: int | None = None) -> list[ModelVersion]:
        """Returns the versions of a model, newest first, including those that have ended, or the version with a number.

        Raises:
            ServingError: NOT_FOUND if there are none.
        """
        with self._lock:
            versions = dict(self._versions.get(name, {}))
        if version is not None:
            if version not in versions:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
            return [versions[version]]
        if not versions:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return [versions[number] for number in sorted(versions, reverse=True)]

    def names(self) -> list[str]:
        """Returns the names of the models that are served."""
        with self._lock:
            return sorted(self._configs)

    def _version_of_label(self, name: str, label: str) -> int:
        with self._lock:
            labels = self._labels.get(name, {})
        if label not in labels:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return labels[label]

    def _candidates(self, name: str, version: int | None) -> list[ModelVersion]:
        with self._lock:
            versions = self._versions.get(name, {})
            numbers = sorted(versions, reverse=True) if version is None else [n for n in (version,) if n in versions]
            return [versions[number] for number in numbers]

    # === What to serve ===

    def start(self, configs: Sequence[ModelConfig]) -> None:
        """Loads the models for the first time.

        Raises:
            ServingError: If a model has no version that can be served.
        """
        self._apply(configs, check_labels=False)

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Changes which models are served. Returns when new models are available.

        Raises:
            ServingError: If the configuration is invalid or a new model has no version that can be served.
        """
        self._apply(configs, check_labels=True)

    def _apply(self, configs: Sequence[ModelConfig], check_labels: bool) -> None:
        with self._changing:
            if check_labels:
                self._check_labels(configs)
            for config in configs:
                if config.name not in self._configs:
                    _require_versions(config)
            with self._lock:
                new = [config.name for config in configs if config.name not in self._configs]
                self._configs = {config.name: config for config in configs}
                self._labels = {config.name: dict(config.labels) for config in configs}
            self.refresh()
            self._require_available(new)

    def _check_labels(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            for label, version in config.labels.items():
                known = self._versions.get(config.name, {}).get(version)
                if known is not None and known.state is State.AVAILABLE:
                    continue
                current = self._labels.get(config.name, {}).get(label, version)
                if not self._allow_labels_for_unavailable or current != version:
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        "available for inference",
                    )

    def _require_available(self, names: Sequence[str]) -> None:
        failed: list[str] = []
        for name in names:
            versions = self._versions.get(name, {}).values()
            if not any(version.state is State.AVAILABLE for version in versions):
                failed.extend(f"{{{{name: {name} version: {v.number}}} due to error: {v.error}}}, " for v in versions)
        if failed:
            raise ServingError(Code.UNKNOWN, f"{len(failed)} model(s) did not become available: {{{''.join(failed)}}}")

    # === Folders ===

    def watch(self, seconds: float) -> None:
        """Starts a thread that checks the folders every `seconds`."""
        thread = threading.Thread(target=self._watch, args=(seconds,), name="model-watcher", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch(self, seconds: float) -> None:
        while not self._stopped.wait(seconds):
            try:
                self.refresh()
            except Exception:  # the thread must continue, or no new version would be served
                log.exception("Could not check the model folders")

    def refresh(self) -> None:
        """Loads and unloads versions once, according to the configuration and the folders."""
        with self._changing:
            with self._lock:
                configs = dict(self._configs)
                names = [*configs, *(name for name in self._versions if name not in configs)]
            for name in names:
                if self._stopped.is_set():
                    return
                if name not in configs:
                    self._reconcile(name, {})
                    continue
                folders = version_folders(configs[name].base_path)
                if folders is None:
                    log.error("Could not find base path %s for servable %s", configs[name].base_path, name)
                    continue
                chosen = configs[name].chosen(folders)
                if not chosen and self._has_live(name):
                    log.warning("No versions of servable %s found under base path %s", name, configs[name].base_path)
                self._reconcile(name, {number: folders[number] for number in chosen})

    def _has_live(self, name: str) -> bool:
        return any(version.state is State.AVAILABLE for version in self._versions.get(name, {}).values())

    def _reconcile(self, name: str, aspired: dict[int, Path]) -> None:
        """Loads the aspired versions that are not loaded, then unloads the loaded ones that are not aspired."""
        for number, path in aspired.items():
            version = self._versions.get(name, {}).get(number)
            if version is None or _may_load_again(version, path):
                self._start_version(name, number, path)
        known = self._versions.get(name, {})
        serving = any(number in aspired and v.state is State.AVAILABLE for number, v in known.items())
        for number, version in list(known.items()):
            if number not in aspired and version.state is State.AVAILABLE and (serving or not aspired):
                self._unload(name, version)
            elif number not in aspired and version.state is State.END and version.error is not None:
                version.fingerprint = ()  # load it again when it is aspired again

    def _start_version(self, name: str, number: int, path: Path) -> None:
        version = ModelVersion(number, path)
        with self._lock:
            self._versions.setdefault(name, {})[number] = version
        version.state = State.LOADING
        for attempt in range(self._retries + 1):
            log.info("Loading version %d of model %s from %s", number, name, path)
            try:
                version.publish(self._load(name, number, path))
                self._published += 1
                log.info("Version %d of model %s is available", number, name)
                return
            except ServingError as error:
                log.error("Version %d of model %s failed to load: %s", number, name, error)
                failure = error
            except Exception as error:
                log.exception("Version %d of model %s failed to load", number, name)
                failure = unexpected(error)
            if attempt < self._retries and self._stopped.wait(self._retry_seconds):
                break
        version.fail(failure)

    def _unload(self, name: str, version: ModelVersion) -> None:
        log.info("Unloading version %d of model %s", version.number, name)
        version.retire()
        # In a thread, because a long request on the old version must not delay the next new version.
        thread = threading.Thread(
            target=version.unload, args=(self._drain_seconds,), name="model-unloader", daemon=True
        )
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Stops watching the folders and unloads all versions."""
        self._stopped.set()
        for thread in list(self._threads):
            thread.join()
        with self._changing:
            for versions in self._versions.values():
                for version in versions.values():
                    if version.state in (State.AVAILABLE, State.UNLOADING):
                        version.retire()
                        version.unload(0)


def _require_versions(config: ModelConfig) -> None:
    folders = version_folders(config.base_path)
    if folders is None:
        raise invalid_argument(
            f"Could not find base path {config.base_path} for servable {config.name} with error NOT_FOUND: "
            f"{config.base_path} not found"
        )
    if not config.chosen(folders):
        hint = ""
        if (config.base_path / "saved_model.pb").exists():
            hint = ". This folder is a version; use the folder that contains it"
        raise ServingError(
            Code.NOT_FOUND,
            f"Unable to find a numerical version path for servable {config.name} at: {config.base_path}{hint}",
        )


def _may_load_again(version: ModelVersion, path: Path) -> bool:
    """Whether to load a version again: it was unloaded, or it failed and its files have changed since."""
    return version.state is State.END and (version.error is None or version.fingerprint != fingerprint(path))
