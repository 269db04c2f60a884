"""sentence-transformers on PyTorch: `SentenceTransformer.encode`."""

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.inference.workers import worker_loop


class SentenceTransformersModel(worker_loop.TextWorker):
    """A model of sentence-transformers.

    Args:
        path: a folder in its layout.
        precision: type of the weights and of the computation.
    """

    packages = ("torch", "sentence-transformers", "transformers", "tokenizers", "numpy")

    def __init__(self, path: str, precision: str = "float32"):
        options = {"dtype": getattr(torch, precision)}
        self._model = SentenceTransformer(path, device="cpu", model_kwargs=options)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        vectors = self._model.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=False)
        return torch.stack(vectors).float().numpy()

    def embed(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that encodes all texts. The library sorts them by length."""
        return lambda: [self._model.encode(texts, batch_size=batch_size, show_progress_bar=False)]


if __name__ == "__main__":
    worker_loop.main(SentenceTransformersModel)
