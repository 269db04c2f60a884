"""Prints the ops of a TensorFlow build, as JSON: name, attributes, and whether a kernel for the CPU is linked.

A program, not a test: `python registered_ops.py FRAMEWORK_LIBRARY CORE_LIBRARY [OP_LIBRARY ...]`. It asks the libraries
themselves, so they may be of any version, unpacked from a wheel. The running Python does not need TensorFlow.
"""

import ctypes
import json
import sys


class Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]


def fields(message):
    """Yield the (number, value) pairs of an encoded protocol buffer, for varints and length-delimited fields only."""
    position = 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            length = varint()
            yield key >> 3, message[position : position + length]
            position += length
        elif key & 7 == 5:
            position += 4
        else:
            position += 8


def texts(message, number):
    """Return the strings of one field."""
    return [value.decode() for field, value in fields(message) if field == number]


def main():
    """Load the libraries that are named on the command line, and print their ops."""
    ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(sys.argv[2], ctypes.RTLD_GLOBAL)
    library.TF_NewStatus.restype = ctypes.c_void_p
    library.TF_LoadLibrary.restype = ctypes.c_void_p
    status = ctypes.c_void_p(library.TF_NewStatus())
    for path in sys.argv[3:]:
        library.TF_LoadLibrary(path.encode(), status)
        assert library.TF_GetCode(status) == 0, path
    lists = []
    for function, arguments in ((library.TF_GetAllOpList, ()), (library.TF_GetAllRegisteredKernels, (status,))):
        function.restype = ctypes.POINTER(Buffer)
        buffer = function(*arguments).contents
        lists.append([value for _, value in fields(ctypes.string_at(buffer.data, buffer.length))])
    # KernelDef: op = 1, device_type = 2; OpDef: name = 1, attr = 4; AttrDef: name = 1.
    with_kernel = {texts(kernel, 1)[0] for kernel in lists[1] if texts(kernel, 2)[0] in ("CPU", "DEFAULT")}
    ops = {texts(op, 1)[0]: [texts(value, 1)[0] for number, value in fields(op) if number == 4] for op in lists[0]}
    json.dump({name: {"attributes": names, "cpu": name in with_kernel} for name, names in ops.items()}, sys.stdout)


if __name__ == "__main__":
    main()
