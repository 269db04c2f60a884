"""Segment pairs on disk: they come back as they were, all or nothing, whole sets only."""

import resource

import numpy as np
import pytest

from kerasbert.data import SegmentPair, find_shards, from_example, read_pairs, to_example, write_pairs
from kerasbert.data.pretraining.pair_files import count_records
from kerasbert.errors import BadInputError


def some_pairs(number, longest=20):
    rng = np.random.default_rng(0)

    def ids():
        return rng.integers(0, 30_000, rng.integers(1, longest)).astype(np.int32)

    return [SegmentPair(ids(), ids(), bool(index % 3 == 0)) for index in range(number)]


def as_lists(pairs):
    return [(pair.first_ids.tolist(), pair.second_ids.tolist(), pair.is_random_next) for pair in pairs]


def test_one_pair_there_and_back():
    (pair,) = some_pairs(1)
    for example in (to_example(pair), to_example(pair).SerializeToString()):
        back = from_example(example)
        assert as_lists([back]) == as_lists([pair])
        assert back.first_ids.dtype == np.int32


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(("number", "num_shards"), [(50, 3), (2, 5), (7, 1)])
def test_written_pairs_come_back(tmp_path, compress, number, num_shards):
    pairs = some_pairs(number)
    written = write_pairs(iter(pairs), tmp_path / "pairs", num_shards, compress)
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == [path.name for path in written.files]
    assert [count_records(path) for path in written.files] == [len(pairs[s::num_shards]) for s in range(num_shards)]
    assert sorted(as_lists(read_pairs(tmp_path / "pairs"))) == sorted(as_lists(pairs))
    assert (written.pairs, written.random_pairs) == (number, sum(pair.is_random_next for pair in pairs))
    assert written.tokens == sum(len(pair.first_ids) + len(pair.second_ids) for pair in pairs)


def test_the_same_pairs_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_pairs(some_pairs(20), tmp_path / name, 2)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_an_earlier_run_is_replaced_as_a_whole(tmp_path):
    write_pairs(some_pairs(20), tmp_path / "pairs", 4)
    write_pairs(some_pairs(5), tmp_path / "pairs", 2)
    assert len(find_shards(tmp_path / "pairs")) == 2
    assert len(list(read_pairs(tmp_path / "pairs"))) == 5


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("Years of work.")
    with pytest.raises(BadInputError, match=r"also contains 'thesis.txt'. Choose a new folder"):
        write_pairs(some_pairs(5), tmp_path)
    with pytest.raises(BadInputError, match="which is a file"):
        write_pairs(some_pairs(5), tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "Years of work."


def test_no_pair_at_all(tmp_path):
    with pytest.raises(BadInputError, match="at least one segment pair"):
        write_pairs([], tmp_path / "pairs")
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_keeps_the_earlier_run(tmp_path):
    write_pairs(some_pairs(3), tmp_path / "pairs")

    def broken():
        yield from some_pairs(100)
        raise BadInputError("the corpus broke")

    with pytest.raises(BadInputError, match="the corpus broke"):
        write_pairs(broken(), tmp_path / "pairs")
    assert [path.name for path in tmp_path.iterdir()] == ["pairs"]
    assert len(list(read_pairs(tmp_path / "pairs"))) == 3


def test_an_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_pairs(some_pairs(3), tmp_path / "file" / "pairs")


def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit on the size of files simulates a full disk: the write fails half-way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError, match="Segment pairs cannot be written to"):
            write_pairs(some_pairs(3000, 200), tmp_path / "out" / "pairs", num_shards=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_incomplete_set_is_refused(tmp_path):
    written = write_pairs(some_pairs(20), tmp_path / "pairs", 4)
    written.files[2].unlink()
    with pytest.raises(BadInputError, match=r"3 of 4 files.*number 2 is missing"):
        find_shards(tmp_path / "pairs")
    assert find_shards(written.files[:2]) == list(written.files[:2])


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_that_ends_within_a_record(tmp_path, compress):
    (path,) = write_pairs(some_pairs(200), tmp_path / "pairs", 1, compress).files
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    with pytest.raises(BadInputError, match=r"contain whole records. Received: '.*pairs-00000"):
        count_records(path)


def test_number_of_shards():
    with pytest.raises(ValueError, match="`num_shards` must be from 1"):
        write_pairs(some_pairs(1), "unused", num_shards=0)
