"""kerasbert: what the commands `embed`, `predict` and `evaluate` call, without reading and writing files."""

from pathlib import Path

from benchmarks.inference.workers import worker_loop
from kerasbert.data import LabelledTexts
from kerasbert.recipes.embedding import embed, load_sentence_encoder
from kerasbert.recipes.prediction import evaluate, load_classifier, predict


class Commands(worker_loop.Worker):
    """A model folder.

    Args:
        path: a sentence encoder or, for `predict` and `evaluate`, a text classifier.
    """

    packages = ("tensorflow", "tensorflow-text", "keras", "numpy")

    def __init__(self, path: str):
        self._path = Path(path)

    def embed(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that encodes all texts."""
        encoder = load_sentence_encoder(self._path)
        return lambda: list(embed(encoder, texts, batch_size))

    def predict(self, texts: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that labels all texts."""
        classifier = load_classifier(self._path)
        rows = LabelledTexts(tuple(texts), None, None, ("",) * len(texts))
        return lambda: [answer["label"] for answer in predict(classifier, rows, batch_size)]

    def evaluate(self, texts: list[str], labels: list[str], batch_size: int) -> worker_loop.Run:
        """Return a function that compares the labels of all texts with the given ones."""
        classifier = load_classifier(self._path)
        rows = LabelledTexts(tuple(texts), None, tuple(labels), ("",) * len(texts))
        return lambda: {"accuracy": evaluate(classifier, rows, batch_size)["accuracy"]}


if __name__ == "__main__":
    worker_loop.main(Commands)
