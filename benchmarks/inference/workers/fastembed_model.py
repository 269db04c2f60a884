"""FastEmbed: its own pooling and tokenizer on ONNX Runtime."""

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

from benchmarks.inference.workers import worker_loop


class FastEmbedModel(worker_loop.TextWorker):
    """A model that is registered with FastEmbed under a name of its own.

    Args:
        path: the model folder.
        graph: the ONNX file, relative to the folder. Its first output is the hidden states.
    """

    packages = ("fastembed", "onnxruntime", "tokenizers", "numpy")

    def __init__(self, path: str, graph: str):
        TextEmbedding.add_custom_model(
            model="local/sentence-encoder",
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(hf="local/sentence-encoder"),
            dim=384,
            model_file=graph,
        )
        self._model = TextEmbedding("local/sentence-encoder", specific_model_path=path)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        return np.stack(list(self._model.embed(texts, batch_size=len(texts))))

    def embed(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that encodes all texts."""
        return lambda: [np.stack(list(self._model.embed(texts, batch_size=batch_size)))]


if __name__ == "__main__":
    worker_loop.main(FastEmbedModel)
