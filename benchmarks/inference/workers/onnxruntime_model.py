"""ONNX Runtime, with Hugging Face's `tokenizers` for texts."""

from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.inference.workers import worker_loop
from benchmarks.inference.workers.word_pieces import WordPieces, inputs_of_ids


class OnnxRuntimeModel(worker_loop.TextWorker):
    """A session on a graph with the output `sentence_embedding`.

    Args:
        path: the model folder, for its tokenizer.
        graph: the ONNX file, relative to the folder.
    """

    packages = ("onnxruntime", "tokenizers", "numpy")

    def __init__(self, path: str, graph: str):
        self._word_pieces = WordPieces(path)
        self._session = onnxruntime.InferenceSession(str(Path(path) / graph), providers=["CPUExecutionProvider"])
        self._types = {each.name: np.int32 if "int32" in each.type else np.int64 for each in self._session.get_inputs()}

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        return self._vectors(self._word_pieces(texts))

    def ids(self, ids: list[list[int]]) -> worker_loop.Run:
        """Return a function that encodes rows of ids of the same length."""
        inputs = inputs_of_ids(ids)
        return lambda: [self._vectors(inputs)]

    def _vectors(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        feed = {name: inputs[name].astype(dtype, copy=False) for name, dtype in self._types.items()}
        return self._session.run(["sentence_embedding"], feed)[0]


if __name__ == "__main__":
    worker_loop.main(OnnxRuntimeModel)
