"""Versions, policies and labels, with a load function that loads nothing."""

import threading

import pytest

from kerasbert_serving.server import Code, ServingError
from kerasbert_serving.server.models.config_files import ModelConfig
from kerasbert_serving.server.models.model_store import ModelStore


class Loaded:
    def __init__(self, name, version, path):
        self.model_name, self.version, self.path = name, version, path
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    return path


@pytest.fixture
def loads():
    return []


@pytest.fixture
def store(loads):
    def load(name, version, path):
        if (path / "corrupt").exists():
            raise ServingError(Code.DATA_LOSS, f"{path.name} is corrupt")
        loads.append(Loaded(name, version, path))
        return loads[-1]

    store = ModelStore(load)
    yield store
    store.close()


def add(base, *versions, corrupt=False):
    for version in versions:
        (base / str(version)).mkdir()
        if corrupt:
            (base / str(version) / "corrupt").touch()


def states(store, name="m"):
    return {version.number: version.state.name for version in store.versions(name)}


def settle(store):
    """Waits for versions that are unloaded in threads."""
    for thread in list(store._threads):
        thread.join(30)


def serving(store, **wanted):
    with store.lease("m", **wanted) as servable:
        return servable.version


def test_the_newest_version_is_served_by_default(store, base):
    add(base, 1, 2, 10)
    (base / "tmp-11").mkdir()
    store.start([ModelConfig("m", base)])
    assert states(store) == {10: "AVAILABLE"}
    assert serving(store) == 10


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ({"latest": 2}, [2, 10]),
        ({"latest": None}, [1, 2, 10]),
        ({"latest": None, "specific": (1, 10, 99)}, [1, 10]),
    ],
)
def test_policies(store, base, policy, served):
    add(base, 1, 2, 10)
    store.start([ModelConfig("m", base, **policy)])
    assert sorted(states(store)) == served
    assert serving(store) == max(served)
    assert serving(store, version=served[0]) == served[0]


def test_a_new_version_is_loaded_before_the_old_one_is_unloaded(store, base, loads):
    add(base, 1)
    store.start([ModelConfig("m", base)])
    add(base, 2)
    store.refresh()
    settle(store)
    assert [loaded.version for loaded in loads] == [1, 2]
    assert states(store) == {2: "AVAILABLE", 1: "END"}
    assert [loaded.closed for loaded in loads] == [True, False]


def test_a_version_in_use_is_not_unloaded(store, base, loads):
    add(base, 1)
    store.start([ModelConfig("m", base)])
    with store.lease("m") as old:
        add(base, 2)
        store.refresh()
        assert states(store) == {2: "AVAILABLE", 1: "UNLOADING"}
        assert serving(store) == 2
        assert not old.closed
        with pytest.raises(ServingError, match="Servable not found for request: Specific"), store.lease("m", 1):
            pass
    settle(store)
    assert old.closed
    assert states(store)[1] == "END"


def test_the_old_version_is_served_if_the_new_one_is_corrupt(store, base):
    add(base, 1)
    store.start([ModelConfig("m", base)])
    add(base, 2, corrupt=True)
    store.refresh()
    assert states(store) == {2: "END", 1: "AVAILABLE"}
    assert store.versions("m", 2)[0].error.message == "2 is corrupt"
    assert serving(store) == 1
    store.refresh()
    assert states(store) == {2: "END", 1: "AVAILABLE"}


def test_a_fixed_version_is_loaded(store, base):
    add(base, 1, corrupt=True)
    with pytest.raises(
        ServingError,
        match=r"1 model\(s\) did not become available: \{\{\{name: m version: 1\} due to error: .*1 is corrupt\}, \}$",
    ):
        store.start([ModelConfig("m", base)])
    (base / "1" / "corrupt").unlink()
    store.refresh()
    assert states(store) == {1: "AVAILABLE"}


def test_a_deleted_version_is_unloaded_and_can_be_loaded_again(store, base):
    add(base, 1)
    store.start([ModelConfig("m", base)])
    (base / "1").rmdir()
    store.refresh()
    settle(store)
    assert states(store) == {1: "END"}
    with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(m\)"), store.lease("m"):
        pass
    add(base, 1)
    store.refresh()
    assert serving(store) == 1


def test_a_missing_base_path_changes_nothing(store, base):
    add(base, 1)
    store.start([ModelConfig("m", base)])
    base.rename(base.with_name("elsewhere"))
    store.refresh()
    assert serving(store) == 1


def test_going_back_to_an_older_version(store, base):
    add(base, 1, 2)
    store.start([ModelConfig("m", base)])
    (base / "2").rmdir()
    store.refresh()
    settle(store)
    assert states(store) == {2: "END", 1: "AVAILABLE"}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda base: base.rmdir(), "Could not find base path .* with error NOT_FOUND: .* not found"),
        (lambda base: (base / "x").mkdir(), "Unable to find a numerical version path for servable m at"),
        (lambda base: (base / "saved_model.pb").touch(), "This folder is a version"),
    ],
)
def test_a_folder_without_versions_is_refused(store, base, make, error):
    make(base)
    with pytest.raises(ServingError, match=error):
        store.start([ModelConfig("m", base)])


def test_labels(store, base):
    add(base, 1, 2)
    both = {"latest": None}
    store.start([ModelConfig("m", base, **both, labels={"stable": 1, "canary": 2})])
    assert serving(store, label="stable") == 1
    assert serving(store, label="canary") == 2
    with pytest.raises(ServingError, match="Unrecognized servable version label: none"), store.lease("m", label="none"):
        pass
    with pytest.raises(ServingError, match="Request to assign label to version 3 of model m") as caught:
        store.reload([ModelConfig("m", base, **both, labels={"stable": 3})])
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert serving(store, label="stable") == 1
    store.reload([ModelConfig("m", base, **both, labels={"stable": 2})])
    assert serving(store, label="stable") == 2


def test_labels_for_future_versions_if_allowed(base):
    add(base, 1, 2)
    store = ModelStore(Loaded, allow_labels_for_unavailable=True)
    store.start([ModelConfig("m", base, labels={"stable": 2})])
    store.reload([ModelConfig("m", base, latest=None, labels={"stable": 2, "next": 7})])
    with pytest.raises(ServingError, match="Request to assign label"):
        store.reload([ModelConfig("m", base, latest=None, labels={"stable": 7})])
    store.close()


def test_reload_adds_and_removes_models(store, base, tmp_path):
    add(base, 1)
    store.start([ModelConfig("m", base)])
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ServingError, match="Unable to find a numerical version path"):
        store.reload([ModelConfig("m", base), ModelConfig("n", other)])
    assert serving(store) == 1
    add(other, 5)
    store.reload([ModelConfig("n", other)])
    settle(store)
    assert states(store, "n") == {5: "AVAILABLE"}
    assert states(store) == {1: "END"}


def test_failed_loads_are_retried(base):
    tries = []

    def load(name, version, path):
        tries.append(version)
        if len(tries) < 3:
            raise ServingError(Code.UNAVAILABLE, "not yet")
        return Loaded(name, version, path)

    add(base, 1)
    store = ModelStore(load, retries=2, retry_seconds=0)
    store.start([ModelConfig("m", base)])
    assert serving(store) == 1
    store.close()


def test_no_request_is_lost_while_versions_change(store, base):
    add(base, 0)
    store.start([ModelConfig("m", base)])
    stop, failures, seen = threading.Event(), [], set()

    def ask():
        while not stop.is_set():
            try:
                with store.lease("m") as servable:
                    if servable.closed:
                        failures.append("closed")
                    seen.add(servable.version)
            except ServingError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(1, 20):
        add(base, version)
        store.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert serving(store) == 19
    assert len(seen) > 1
