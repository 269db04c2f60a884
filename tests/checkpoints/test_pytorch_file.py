"""PyTorch's files are read without PyTorch, and nothing that a pickle names is ever run."""

import collections
import os
import pickle
import struct
import sys
import types
import zipfile

import ml_dtypes
import numpy as np
import pytest

from kerasbert.checkpoints import load
from kerasbert.checkpoints.formats.pytorch_file import read_pytorch
from kerasbert.checkpoints.formats.safetensors_file import read_safetensors
from kerasbert.errors import BadInputError

BASE = np.arange(20, dtype="float32").reshape(10, 2)
ARRAYS = {
    "matrix": np.arange(6, dtype="float32").reshape(2, 3),
    "transposed": np.arange(6, dtype="float32").reshape(2, 3).T,
    "half": np.arange(3, dtype="float16"),
    "brain": np.arange(3).astype(ml_dtypes.bfloat16),
    "ids": np.arange(4)[None],
    "scalar": np.array(2.5, "float32"),
    "empty": np.zeros((0, 3), "float32"),
    "rows": BASE[2:5],
    "column": BASE[:, 1],
}
STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "bfloat16": "BFloat16Storage", "int64": "LongStorage"}


class Tensor:
    """Pickles as PyTorch's tensors do."""

    def __init__(self, array, key):
        self.base = array
        while self.base.base is not None:
            self.base = self.base.base
        self.array, self.key = array, key


@pytest.fixture
def torch_names(monkeypatch):
    """Modules of the names that PyTorch's pickles refer to; only the names are ever used."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError("must never be called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


@pytest.fixture
def write(torch_names, tmp_path):
    """`write(tensors, stream)`: a file as `torch.save` writes it, in the zip form or the older stream."""

    def write_file(tensors, stream=False, path=tmp_path / "pytorch_model.bin"):
        storages = {}

        class Pickler(pickle.Pickler):
            def persistent_id(self, saved):
                if not isinstance(saved, np.ndarray):
                    return None
                key = str(len(storages))
                storages[key] = saved
                kind = getattr(torch_names, STORAGES[saved.dtype.name])
                view = (None,) if stream else ()
                return ("storage", kind, key, "cpu", saved.size, *view)

            def reducer_override(self, saved):
                if not isinstance(saved, Tensor):
                    return NotImplemented
                array, base = saved.array, saved.base
                offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // base.itemsize
                stride = tuple(step // base.itemsize for step in array.strides)
                hooks = collections.OrderedDict()
                arguments = (base, offset if array.size else 0, array.shape, stride, False, hooks)
                return torch_names._utils._rebuild_tensor_v2, arguments

        state = collections.OrderedDict(
            (name, Tensor(value, name) if isinstance(value, np.ndarray) else value) for name, value in tensors.items()
        )
        state._metadata = collections.OrderedDict({"": {"version": 1}})
        data = path.with_suffix(".pkl")
        with data.open("wb") as file:
            Pickler(file, protocol=2).dump(state)
        if stream:
            with path.open("wb") as file:
                for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "type_sizes": {"int": 4}}):
                    pickle.dump(header, file, protocol=2)
                file.write(data.read_bytes())
                pickle.dump(list(storages), file, protocol=2)
                for storage in storages.values():
                    file.write(struct.pack("<q", storage.size) + storage.tobytes())
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("pytorch_model/data.pkl", data.read_bytes())
                archive.writestr("pytorch_model/byteorder", "little")
                for key, storage in storages.items():
                    archive.writestr(f"pytorch_model/data/{key}", storage.tobytes())
        data.unlink()
        return path

    return write_file


@pytest.mark.parametrize("stream", [False, True])
def test_tensors_are_read(stream, write):
    for name, array in read_pytorch(write(ARRAYS, stream)).items():
        assert array.dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(array.astype("float32"), ARRAYS[name].astype("float32"))


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("call", [(os.mkdir, "run"), (exec, "import os; os.mkdir('run')"), (getattr, "a", "b")])
def test_nothing_in_a_pickle_is_run(stream, call, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write({"weight": ARRAYS["matrix"], "evil": Evil(*call)}, stream)
    with pytest.raises(BadInputError, match=r"pytorch_model\.bin: .*tensors only.*names `\w+\.\w+`"):
        read_pytorch(path)
    path.write_bytes(pickle.dumps(Evil(*call)))
    with pytest.raises(BadInputError, match="tensors only"):
        read_pytorch(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["OrderedDict.fromkeys", "namedtuple"])
def test_no_name_can_be_reached_through_another_one(name, tmp_path):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(b"\x80\x04\x8c\x0bcollections\x8c" + bytes([len(name)]) + name.encode() + b"\x93.")
    with pytest.raises(BadInputError, match=f"names `collections.{name}`"):
        read_pytorch(path)


@pytest.mark.parametrize("stream", [False, True])
def test_a_damaged_file_is_refused_by_name(stream, write):
    path = write(ARRAYS, stream)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    for length in generator.integers(0, len(content), 40):
        path.write_bytes(content[:length])
        with pytest.raises(BadInputError, match=r"pytorch_model\.bin: "):
            read_pytorch(path)


def test_anything_but_a_dict_of_tensors_is_refused(write, tmp_path):
    with pytest.raises(BadInputError, match=r"entries \['epoch'\]"):
        read_pytorch(write({"weight": ARRAYS["matrix"], "epoch": 3}))
    with pytest.raises(BadInputError, match=r"entries \['state_dict'\]"):
        read_pytorch(write({"state_dict": {}}))
    path = tmp_path / "other.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"")
    with pytest.raises(BadInputError, match=r"must contain one data\.pkl"):
        read_pytorch(path)


def test_a_view_beyond_its_storage_is_refused(write):
    path = write({"weight": np.lib.stride_tricks.as_strided(BASE, (10, 4), (8, 4))})
    with pytest.raises(BadInputError, match="must be inside its storage"):
        read_pytorch(path)


def test_a_compressed_archive_is_refused(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10**6)
    with pytest.raises(BadInputError, match="must not be compressed"):
        read_pytorch(path)


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_loads_from_it(stream, saved, make_model, write, assert_same_weights):
    folder = saved("single label")
    arrays = read_safetensors(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    write({name: np.array(array) for name, array in arrays.items()}, stream, folder / "pytorch_model.bin")
    assert_same_weights(load(folder).model, make_model("single label"))
