"""kerasbert: BERT on TensorFlow and Keras 3, from raw text to a served model.

Importing this package is cheap: a public name loads Keras or TensorFlow when it is first used.
"""

import importlib
from typing import Any

from kerasbert.version import __version__

_PUBLIC_NAMES = {
    "BertBackbone": "kerasbert.models",
    "BertConfig": "kerasbert.config",
    "BertPretrainer": "kerasbert.models",
    "BertSequenceClassifier": "kerasbert.models",
    "TextToInputs": "kerasbert.preprocessing",
    "Vocabulary": "kerasbert.preprocessing",
    "WordPieceTokenizer": "kerasbert.preprocessing",
}

__all__ = ["__version__", *_PUBLIC_NAMES]


def __getattr__(name: str) -> Any:
    """Loads a public name from its own package on first use (PEP 562)."""
    if name in _PUBLIC_NAMES:
        return getattr(importlib.import_module(_PUBLIC_NAMES[name]), name)
    raise AttributeError(f"module 'kerasbert' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
