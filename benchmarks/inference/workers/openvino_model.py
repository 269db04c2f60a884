"""OpenVINO, with Hugging Face's `tokenizers` for texts."""

from pathlib import Path

import numpy as np
import openvino

from benchmarks.inference.workers import worker_loop
from benchmarks.inference.workers.word_pieces import WordPieces, inputs_of_ids


class OpenVinoModel(worker_loop.TextWorker):
    """A compiled graph with the output `sentence_embedding`.

    Args:
        path: the model folder, for its tokenizer.
        graph: the file of the graph, relative to the folder.
        precision: precision of the computation. Without bfloat16 instructions, OpenVINO would use float32 instead.
    """

    packages = ("openvino", "tokenizers", "numpy")

    def __init__(self, path: str, graph: str, precision: str = "float32"):
        self._word_pieces = WordPieces(path)
        core = openvino.Core()
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and "BF16" not in capabilities:
            raise ValueError(f"OpenVINO has no bfloat16 on this processor. It has {', '.join(capabilities)}.")
        hint = openvino.Type.bf16 if precision == "bfloat16" else openvino.Type.f32
        options = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        self._model = core.compile_model(core.read_model(Path(path) / graph), "CPU", options)
        self._names = [each.any_name for each in self._model.inputs]

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        return self._vectors(self._word_pieces(texts))

    def ids(self, ids: list[list[int]]) -> worker_loop.Run:
        """Return a function that encodes rows of ids of the same length."""
        inputs = inputs_of_ids(ids)
        return lambda: [self._vectors(inputs)]

    def _vectors(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.array(self._model({name: inputs[name] for name in self._names})["sentence_embedding"])


if __name__ == "__main__":
    worker_loop.main(OpenVinoModel)
