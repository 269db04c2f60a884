"""The folder of a run that is still training. After a kill, the next attempt finds it again, on any machine.

The training loop writes its states to a local folder. If the pipeline's root is in a bucket, a thread copies each new
state there, and a new attempt begins with the states that it finds.
"""

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.utils import io_utils

from kerasbert.run_folder import FREE_SETTINGS, RunFolder
from kerasbert_tfx.records.fingerprints import fingerprint
from kerasbert_tfx.records.remote_folders import copied_to_local, is_remote

_LOGGER = logging.getLogger(__name__)
_SECONDS_BETWEEN_LOOKS = 2.0
_KEPT_STATES = 2


@contextlib.contextmanager
def training_folder(
    config: Mapping[str, Any], inputs: Sequence[Any], local_inputs: Mapping[str, str | None]
) -> Iterator[Path]:
    """Yields a local folder for a run: the same one, or one with the same states, for every attempt of the same run.

    When the block ends without an error, the folder and its copy are removed.

    Args:
        config: The Trainer's `custom_config`. `config["unfinished"]` is the folder, on this machine or in a bucket,
            that contains the folders of all unfinished runs. `settings` that do not change the weights are ignored.
        inputs: Everything else that the run depends on, as JSON values.
        local_inputs: Settings that are local paths in this attempt, e.g. `start_from`. Only their content counts.
    """
    settings = {name: value for name, value in config["settings"].items() if name not in FREE_SETTINGS}
    contents = {name: fingerprint(path) for name, path in local_inputs.items() if path}
    parts = [{**config, "settings": settings, "unfinished": ""}, *inputs, contents]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    unfinished = f"{config['unfinished']}/{name}"
    if not is_remote(unfinished):
        yield Path(unfinished)
        shutil.rmtree(unfinished, ignore_errors=True)
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary, name)
        if tf.io.gfile.isdir(unfinished):
            with copied_to_local(unfinished) as earlier:
                shutil.copytree(earlier, work)
            _set_paths(RunFolder(work).settings, local_inputs)
        with _states_copied(work, unfinished):
            yield work
    if tf.io.gfile.isdir(unfinished):
        tf.io.gfile.rmtree(unfinished)


def keep_run(work: Path, folder: str, names: Sequence[str]) -> None:
    """Copies the parts of a finished run that are worth keeping.

    Args:
        work: The folder of the run.
        folder: Where to copy them, on any file system.
        names: Files and folders of the run. Those that do not exist are skipped.
    """
    for name in names:
        source = work / name
        if source.is_dir():
            io_utils.copy_dir(str(source), f"{folder}/{name}")
        elif source.exists():
            io_utils.copy_file(str(source), f"{folder}/{name}", overwrite=True)


def _set_paths(settings: Path, local_inputs: Mapping[str, str | None]) -> None:
    """Replaces the local paths of an earlier attempt by those of this one, which have the same content."""
    written = json.loads(settings.read_text(encoding="utf-8"))
    written["settings"].update(local_inputs)
    settings.write_text(json.dumps(written), encoding="utf-8")


@contextlib.contextmanager
def _states_copied(work: Path, target: str) -> Iterator[None]:
    """Copies new training states of `work` to `target` while the block runs, and after it if it was stopped."""
    is_over = threading.Event()

    def copy_until_the_end() -> None:
        while not is_over.wait(_SECONDS_BETWEEN_LOOKS):
            _copy_newest_state(work, target)

    thread = threading.Thread(target=copy_until_the_end, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        # Stopped by a signal or an error: the loop may just have written its last state.
        is_over.set()
        thread.join()
        _copy_newest_state(work, target)
        raise
    finally:
        is_over.set()
        thread.join()


def _copy_newest_state(work: Path, target: str) -> None:
    """Copies the newest state, unless it was copied before, and everything that is needed to resume from it."""
    run = RunFolder(work)
    states = sorted(run.checkpoints.glob("step-*.npz"))
    copied = f"{target}/{run.checkpoints.name}"
    try:
        if not states or tf.io.gfile.exists(f"{copied}/{states[-1].name}"):
            return
        # The state comes last: the history must not be shorter than the state says.
        for file in (run.settings, run.history, *run.tensorboard.rglob("*")):
            if file.is_file():
                _copy_file(file, f"{target}/{file.relative_to(work).as_posix()}")
        _copy_file(states[-1], f"{copied}/{states[-1].name}")
        names = sorted(name for name in tf.io.gfile.listdir(copied) if name.startswith("step-"))
        for old in names[:-_KEPT_STATES]:
            tf.io.gfile.remove(f"{copied}/{old}")
    except (OSError, tf.errors.OpError) as error:
        # Training continues without a copy. The next check tries again.
        _LOGGER.warning("The training state %s was not copied to %s: %s", states[-1], target, error)


def _copy_file(file: Path, target: str) -> None:
    tf.io.gfile.makedirs(target.rpartition("/")[0])
    tf.io.gfile.copy(str(file), target, overwrite=True)
