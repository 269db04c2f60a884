"""Returns memory that the C library's allocator keeps after it was freed.

Loading a model and optimizing its graph takes much memory for a short time. The allocator of glibc keeps it, which is
about a seventh of the memory of a server with a small BERT.
"""

import ctypes
import sys


def release_unused_memory() -> None:
    """Returns freed memory to the operating system. Does nothing without glibc."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
