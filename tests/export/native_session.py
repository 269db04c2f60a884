"""Runs a SavedModel as TF Serving does: with TensorFlow's C library, without TensorFlow's Python code.

A program, not a test: `python native_session.py < request.json > reply.json`. The request names the libraries to load,
the folder and the calls. Each reply contains either the outputs, or the session's status code and message.
"""

import base64
import ctypes
import json
import sys

import numpy as np

STRING = 7
# TensorFlow's DataType numbers.
DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64, 10: np.bool_}
TSTRING_SIZE = 24


class Output(ctypes.Structure):
    """TF_Output: an operation and which of its outputs."""

    _fields_ = [("oper", ctypes.c_void_p), ("index", ctypes.c_int)]


class SessionError(Exception):
    """A status other than OK."""


def load_library(framework, core, op_libraries):
    """Load the C library, and register the ops of the other libraries."""
    ctypes.CDLL(framework, ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(core, ctypes.RTLD_GLOBAL)
    pointers = [
        "TF_NewStatus TF_Message TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel TF_LoadLibrary",
        "TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer",
    ]
    for name in " ".join(pointers).split():
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("TF_StringGetSize", "TF_TensorByteSize"):
        getattr(library, name).restype = ctypes.c_size_t
    library.TF_Dim.restype = ctypes.c_int64
    library.TF_Message.restype = ctypes.c_char_p
    for path in op_libraries:
        status = ctypes.c_void_p(library.TF_NewStatus())
        library.TF_LoadLibrary(path.encode(), status)
        check(library, status)
    return library


def check(library, status):
    """Raise the error of a status."""
    code = library.TF_GetCode(status)
    if code:
        raise SessionError(code, library.TF_Message(status).decode(errors="replace"))


def load_session(library, folder):
    """Load the session and graph of a SavedModel with the tag `serve`."""
    status = ctypes.c_void_p(library.TF_NewStatus())
    graph = ctypes.c_void_p(library.TF_NewGraph())
    tags = (ctypes.c_char_p * 1)(b"serve")
    options = ctypes.c_void_p(library.TF_NewSessionOptions())
    session = library.TF_LoadSessionFromSavedModel(options, None, folder.encode(), tags, 1, graph, None, status)
    check(library, status)
    return ctypes.c_void_p(session), graph


def tensor_of(library, dtype, shape, values):
    """Make a TF_Tensor from a flat list. Strings are in base64."""
    dims = (ctypes.c_int64 * len(shape))(*shape)
    if dtype != STRING:
        array = np.array(values, DTYPES[dtype])
        tensor = ctypes.c_void_p(library.TF_AllocateTensor(dtype, dims, len(shape), ctypes.c_size_t(array.nbytes)))
        ctypes.memmove(library.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor
    size = ctypes.c_size_t(TSTRING_SIZE * len(values))
    tensor = ctypes.c_void_p(library.TF_AllocateTensor(STRING, dims, len(shape), size))
    data = library.TF_TensorData(tensor)
    for index, value in enumerate(values):
        string = ctypes.c_void_p(data + index * TSTRING_SIZE)
        content = base64.b64decode(value)
        library.TF_StringInit(string)
        library.TF_StringCopy(string, content, ctypes.c_size_t(len(content)))
    return tensor


def values_of(library, tensor):
    """Return the shape and flat values of a TF_Tensor. Strings are in base64."""
    dtype = library.TF_TensorType(tensor)
    shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
    data = library.TF_TensorData(tensor)
    if dtype != STRING:
        content = ctypes.string_at(data, library.TF_TensorByteSize(tensor))
        return {"dtype": dtype, "shape": shape, "values": np.frombuffer(content, DTYPES[dtype]).tolist()}
    values = []
    for index in range(int(np.prod(shape))):
        string = ctypes.c_void_p(data + index * TSTRING_SIZE)
        content = ctypes.string_at(library.TF_StringGetDataPointer(string), library.TF_StringGetSize(string))
        values.append(base64.b64encode(content).decode())
    return {"dtype": dtype, "shape": shape, "values": values}


def outputs_of(library, graph, names):
    """A TF_Output array of tensor names, e.g. "serving_default_text:0"."""
    outputs = (Output * len(names))()
    for position, name in enumerate(names):
        operation, index = name.rsplit(":", 1)
        outputs[position] = Output(library.TF_GraphOperationByName(graph, operation.encode()), int(index))
    return outputs


def run(library, session, graph, call):
    """Run one call, and return the outputs or the error."""
    status = ctypes.c_void_p(library.TF_NewStatus())
    fed = [tensor_of(library, **tensor) for tensor in call["inputs"].values()]
    results = (ctypes.c_void_p * len(call["outputs"]))()
    library.TF_SessionRun(
        session, None,
        outputs_of(library, graph, list(call["inputs"])), (ctypes.c_void_p * len(fed))(*fed), len(fed),
        outputs_of(library, graph, call["outputs"]), results, len(results),
        None, 0, None, status,
    )  # fmt: skip
    check(library, status)
    return [values_of(library, ctypes.c_void_p(tensor)) for tensor in results]


def main():
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    library = load_library(request["framework"], request["core"], request["op_libraries"])
    session, graph = load_session(library, request["folder"])
    replies = []
    for call in request["calls"]:
        try:
            replies.append({"outputs": run(library, session, graph, call)})
        except SessionError as error:
            replies.append({"code": error.args[0], "message": error.args[1]})
    assert "tensorflow" not in sys.modules
    json.dump(replies, sys.stdout)


if __name__ == "__main__":
    main()
