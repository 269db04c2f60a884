"""The base class of workers that multiply matrices, to measure what the machine can do."""

import abc
import time

from benchmarks.inference.workers import worker_loop

# A library without a fast product for a type multiplies number by number, at some 1e8 operations per second. The large
# products would take minutes.
SMALL, EMULATED = 256, 1e9


class Product(worker_loop.Worker, abc.ABC):
    """A product of square matrices. The option `precision` is the type of the factors."""

    def matmul(self, size: int) -> worker_loop.Run:
        """Return a function that multiplies two matrices.

        Raises:
            ValueError: the library emulates products of this type.
        """
        small = self.product(SMALL)
        times = []
        for _ in range(8):
            begin = time.perf_counter()
            small()
            times.append(time.perf_counter() - begin)
        rate = 2 * SMALL**3 / min(times)
        if rate < EMULATED:
            raise ValueError(f"this library emulates such products here ({rate / 1e9:.1f} GFLOP/s)")
        return self.product(size)

    @abc.abstractmethod
    def product(self, size: int) -> worker_loop.Run:
        """Return a function that multiplies two fixed matrices `[size, size]` and waits for the result."""
