"""transformers on PyTorch: the pipeline `text-classification`."""

import torch
from transformers import pipeline

from benchmarks.inference.workers import worker_loop


class Pipeline(worker_loop.Worker):
    """A pipeline.

    Args:
        path: a folder with a sequence classifier in Hugging Face's layout.
        precision: type of the weights and of the computation.
    """

    packages = ("torch", "transformers", "tokenizers", "numpy")

    def __init__(self, path: str, precision: str = "float32"):
        self._pipeline = pipeline("text-classification", path, device="cpu", dtype=getattr(torch, precision))

    def predict(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that labels all texts. The pipeline keeps their order, so batches mix lengths."""
        return lambda: [answer["label"] for answer in self._pipeline(texts, batch_size=batch_size, truncation=True)]

    def evaluate(self, texts: list[str], labels: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that compares the labels of all texts with the given ones."""
        predict = self.predict(texts, batch_size)

        def run() -> dict[str, float]:
            answers = predict()
            equal = sum(answer == label for answer, label in zip(answers, labels, strict=True))
            return {"accuracy": equal / len(texts)}

        return run


if __name__ == "__main__":
    worker_loop.main(Pipeline)
