"""Version numbers only grow, and two writers never take the same one."""

import threading

import pytest

from kerasbert.errors import BadInputError
from kerasbert.export.version_folders import existing_versions, next_version_folder


def take(folder, version=None):
    with next_version_folder(folder, version) as path:
        path.mkdir()
    return path.name


def test_the_next_number_follows_the_largest(tmp_path):
    folder = tmp_path / "models" / "one"
    assert take(folder) == "1"
    assert take(folder, 20) == "20"
    (folder / "3").mkdir()
    (folder / "notes").mkdir()
    (folder / "99").write_text("a file is no version")
    assert existing_versions(folder) == [1, 3, 20]
    assert take(folder) == "21"


@pytest.mark.parametrize("version", [5, 4, 0, -1, 2**63])
def test_a_number_that_does_not_grow_is_refused(tmp_path, version):
    take(tmp_path, 5)
    with pytest.raises(BadInputError, match=f"Received: version={version}, .* is 5. Leave out `version`"):
        take(tmp_path, version)
    assert existing_versions(tmp_path) == [5]


@pytest.mark.parametrize("version", ["2", 2.0, True])
def test_a_version_must_be_an_integer(tmp_path, version):
    with pytest.raises(ValueError, match="must be an integer"):
        take(tmp_path, version)


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "model").write_text("")
    with pytest.raises(BadInputError, match="which is a file"):
        take(tmp_path / "model")


def test_writers_at_the_same_time_take_different_numbers(tmp_path):
    taken = []
    threads = [threading.Thread(target=lambda: taken.append(take(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, taken)) == list(range(1, 9))


def test_a_failed_write_releases_the_number(tmp_path):
    with pytest.raises(OSError, match="full"), next_version_folder(tmp_path):
        raise OSError("full")
    assert take(tmp_path) == "1"
