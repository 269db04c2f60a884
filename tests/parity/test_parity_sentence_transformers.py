"""What sentence-transformers writes makes the same vectors here, and what we write makes the same vectors there."""

import numpy as np
import pytest

from kerasbert.checkpoints import load, save
from kerasbert.models import BertSentenceEncoder

TEXTS = ["A man is eating food.", "Someone eats a meal.", "", "Straße naïve 中文 🙂", "word " * 400]


@pytest.fixture(scope="module")
def sentence_transformers(transformers):
    return pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")


def test_our_folder_makes_the_same_vectors_there(minilm, sentence_transformers, tmp_path):
    for pooling, normalize in (("mean", True), ("cls", False), ("max", True)):
        model = BertSentenceEncoder(minilm.model.backbone, pooling, normalize)
        folder = save(model, tmp_path / pooling, minilm.text_to_inputs)
        theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
        np.testing.assert_allclose(np.asarray(model(minilm.text_to_inputs(TEXTS))), theirs, rtol=0, atol=2e-5)


def test_their_folder_makes_the_same_vectors_here(minilm_folder, sentence_transformers, tmp_path):
    whole = sentence_transformers.SentenceTransformer(str(minilm_folder), device="cpu")
    whole.max_seq_length = 32
    encoder = whole[0]
    for mode in ("cls", "max", "mean"):
        pooling = type(whole[1])(384, pooling_mode=mode)
        theirs = sentence_transformers.SentenceTransformer(modules=[encoder, pooling], device="cpu")
        theirs.save(str(tmp_path / mode))
        loaded = load(tmp_path / mode)
        assert (loaded.model.pooling, loaded.model.normalize) == (mode, False)
        assert loaded.text_to_inputs.sequence_length == 32
        ours = np.asarray(loaded.model(loaded.text_to_inputs(TEXTS)))
        np.testing.assert_allclose(ours, theirs.encode(TEXTS), rtol=0, atol=2e-5)
    whole.save(str(tmp_path / "whole"))
    loaded = load(tmp_path / "whole")
    assert (loaded.model.pooling, loaded.model.normalize) == ("mean", True)
    ours = np.asarray(loaded.model(loaded.text_to_inputs(TEXTS)))
    np.testing.assert_allclose(ours, whole.encode(TEXTS), rtol=0, atol=1e-5)
