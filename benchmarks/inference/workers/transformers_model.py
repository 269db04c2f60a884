"""transformers on PyTorch: `AutoModel` with mean pooling."""

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from benchmarks.inference.workers import worker_loop
from benchmarks.inference.workers.mean_pooling import pool


class TransformersModel(worker_loop.TextWorker):
    """A model of transformers.

    Args:
        path: a folder in Hugging Face's layout.
        precision: type of the weights and of the computation.
        compiled: whether `torch.compile` compiles the model.
    """

    packages = ("torch", "transformers", "tokenizers", "numpy")

    def __init__(self, path: str, precision: str = "float32", compiled: bool = False):
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModel.from_pretrained(path, dtype=getattr(torch, precision)).eval()
        # Batches have many lengths. Without `dynamic`, each of them would be compiled.
        self._model = torch.compile(model, dynamic=True) if compiled else model

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        return self._vectors(self._tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt"))

    def ids(self, ids: list[list[int]]) -> worker_loop.Run:
        """Return a function that encodes rows of ids of the same length."""
        array = torch.tensor(ids)
        inputs = {
            "input_ids": array,
            "attention_mask": torch.ones_like(array),
            "token_type_ids": torch.zeros_like(array),
        }
        return lambda: [self._vectors(inputs)]

    def _vectors(self, inputs: dict[str, torch.Tensor]) -> np.ndarray:
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state.float()
            return pool(states, inputs["attention_mask"].float()).numpy()


if __name__ == "__main__":
    worker_loop.main(TransformersModel)
