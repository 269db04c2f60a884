"""Files whose header or index is wrong are refused by name, single files as well as shards."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from kerasbert.checkpoints import load
from kerasbert.checkpoints.formats.safetensors_file import read_safetensors, read_shards, write_safetensors
from kerasbert.errors import BadInputError

ARRAYS = {
    "a": np.arange(6, dtype="float32").reshape(2, 3),
    "half": np.arange(4, dtype="float16"),
    "brain": np.arange(4).astype(ml_dtypes.bfloat16),
    "positions": np.arange(5)[None],
    "scalar": np.float32(3.0),
}


def rewrite(path, change):
    """Lets `change` change a file's header, or return other content."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    replaced = change(header, content)
    if replaced is None:
        text = json.dumps(header).encode()
        replaced = struct.pack("<Q", len(text)) + text + content[8 + length :]
    path.write_bytes(replaced)


def test_every_type_is_read(tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {**ARRAYS, "transposed": ARRAYS["a"].T})
    for name, array in read_safetensors(path).items():
        expected = {**ARRAYS, "transposed": ARRAYS["a"].T}[name]
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array.astype("float32"), np.asarray(expected).astype("float32"))


LIES = {
    "cut short": lambda header, content: content[:-5],
    "header cut": lambda header, content: content[:30],
    "empty": lambda header, content: b"",
    "no header": lambda header, content: b"\xff" * 64,
    "header is a list": lambda header, content: struct.pack("<Q", 2) + b"[]",
    "beyond the end": lambda header, content: header["a"].update(data_offsets=[0, 10**9]),
    "too few bytes": lambda header, content: header["a"].update(data_offsets=[0, 8]),
    "negative": lambda header, content: header["a"].update(data_offsets=[-4, 20]),
    "overlapping": lambda header, content: header["half"].update(data_offsets=[0, 8]),
    "other shape": lambda header, content: header["a"].update(shape=[3, 3]),
    "enormous shape": lambda header, content: header["a"].update(shape=[2**62, 2**62]),
    "unknown type": lambda header, content: header["a"].update(dtype="F31"),
    "bytes to spare": lambda header, content: content + b"x",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_with_a_wrong_header_is_refused_by_name(lie, tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": ARRAYS["a"], "half": ARRAYS["half"]})
    rewrite(path, LIES[lie])
    with pytest.raises(BadInputError, match=r"model\.safetensors: a safetensors file must be complete"):
        read_safetensors(path)


def test_a_type_that_numpy_lacks_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(4, "int8")}, path)
    rewrite(path, lambda header, content: header["a"].update(dtype="F8_E4M3"))
    with pytest.raises(BadInputError, match="'a': 'F8_E4M3'"):
        read_safetensors(path)


@pytest.fixture
def shards(tmp_path):
    write_safetensors(tmp_path / "one.safetensors", {"a": ARRAYS["a"]})
    write_safetensors(tmp_path / "two.safetensors", {"half": ARRAYS["half"]})
    index = {"weight_map": {"a": "one.safetensors", "half": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path / "model.safetensors.index.json"


def test_shards_are_merged(shards):
    assert read_shards(shards, read_safetensors).keys() == {"a", "half"}


def test_a_missing_shard_is_named(shards):
    (shards.parent / "two.safetensors").unlink()
    with pytest.raises(BadInputError, match=r"index\.json: every file that the index.*Missing: two\.safetensors\."):
        read_shards(shards, read_safetensors)


@pytest.mark.parametrize(
    ("weight_map", "named"),
    [
        ({"a": "one.safetensors"}, None),
        ({"a": "one.safetensors", "b": "one.safetensors"}, r"one\.safetensors, in which \['b'\] are missing"),
        ({"half": "one.safetensors"}, r"\['a'\] are not listed"),
        ({"a": "../one.safetensors"}, r"in the folder of the index\. Received: \.\./one\.safetensors"),
        ({}, "must map weight names to file names"),
        ({"a": 3}, "must map weight names to file names"),
        (["a"], "must be JSON with a `weight_map`"),
    ],
)
def test_an_index_that_disagrees_with_its_shards_is_refused(weight_map, named, shards):
    shards.write_text(json.dumps({"weight_map": weight_map}))
    if named is None:
        assert read_shards(shards, read_safetensors).keys() == {"a"}
        return
    with pytest.raises(BadInputError, match=named):
        read_shards(shards, read_safetensors)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_broken_index_is_refused(content, shards):
    shards.write_text(content)
    with pytest.raises(BadInputError, match="must be JSON with a `weight_map`"):
        read_shards(shards, read_safetensors)


def test_a_model_in_shards_loads(saved, make_model, assert_same_weights):
    folder = saved("pretrainer")
    arrays = read_safetensors(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for index, name in enumerate(arrays):
        weight_map[name] = f"model-0000{index % 3 + 1}-of-00003.safetensors"
    for file in set(weight_map.values()):
        write_safetensors(folder / file, {name: arrays[name] for name in arrays if weight_map[name] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_same_weights(load(folder).model, make_model("pretrainer"))
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(BadInputError, match=r"Missing: model-00002-of-00003\.safetensors"):
        load(folder)
