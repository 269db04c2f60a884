"""The matrix product of PyTorch."""

import torch

from benchmarks.inference.workers import product, worker_loop


class PyTorchProduct(product.Product):
    """A product of square matrices.

    Args:
        precision: type of the factors. With "int8", sums are int32.
    """

    packages = ("torch",)

    def product(self, size: int) -> worker_loop.Run:
        """Return a function that multiplies two matrices."""
        torch.manual_seed(1)
        if self.options["precision"] == "int8":
            factors = [torch.randint(-127, 127, (size, size), dtype=torch.int8) for _ in range(2)]
            return lambda: float(torch._int_mm(*factors)[0, 0])
        factors = [torch.randn(size, size).to(getattr(torch, self.options["precision"])) for _ in range(2)]
        return lambda: float(torch.mm(*factors)[0, 0])


if __name__ == "__main__":
    worker_loop.main(PyTorchProduct)
