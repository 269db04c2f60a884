"""The int8 matrix product of ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.inference.workers import product, worker_loop


class OnnxRuntimeProduct(product.Product):
    """A product of square matrices: uint8 times int8, with int32 sums. The right one is a constant, as weights are."""

    packages = ("onnxruntime",)

    def product(self, size: int) -> worker_loop.Run:
        """Return a function that multiplies two matrices."""
        generator = np.random.default_rng(1)
        right = onnx.numpy_helper.from_array(generator.integers(-127, 127, (size, size), np.int8), "right")
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
            "product",
            [helper.make_tensor_value_info("left", TensorProto.UINT8, [size, size])],
            [helper.make_tensor_value_info("product", TensorProto.INT32, [size, size])],
            [right],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        left = generator.integers(0, 255, (size, size), np.uint8)
        return lambda: int(session.run(None, {"left": left})[0][0, 0])


if __name__ == "__main__":
    worker_loop.main(OnnxRuntimeProduct)
