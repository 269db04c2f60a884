"""The matrix product of TensorFlow."""

import tensorflow as tf

from benchmarks.inference.workers import product, worker_loop


class TensorFlowProduct(product.Product):
    """A product of square matrices.

    Args:
        precision: type of the factors.
    """

    packages = ("tensorflow",)

    def product(self, size: int) -> worker_loop.Run:
        """Return a function that multiplies two matrices."""
        dtype = getattr(tf, self.options["precision"])
        left, right = (tf.cast(tf.random.stateless_normal([size, size], [seed, 0]), dtype) for seed in (1, 2))
        multiply = tf.function(tf.linalg.matmul)
        # Reading one number waits for the result.
        return lambda: float(multiply(left, right)[0, 0])


if __name__ == "__main__":
    worker_loop.main(TensorFlowProduct)
