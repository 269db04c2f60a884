"""What sentence-transformers writes makes the same vectors here, and what we write makes the same vectors there."""

import numpy as np
import pytest

from kerasbert.checkpoints import load, save
from kerasbert.checkpoints.model_comparison import differing_weights
from kerasbert.layers import Pooling
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


MODES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
    "weighted_mean": "weightedmean",
    "last": "lasttoken",
}


@pytest.mark.parametrize("mode", [*MODES, ("last", "mean", "cls")])
def test_every_pooling_is_theirs(mode, sentence_transformers, transformers):
    """Rows of any length, padding on either side and in between; a row of nothing but padding gives zeros."""
    import torch

    generator = np.random.default_rng(3)
    hidden = generator.normal(size=(6, 9, 8)).astype("float32")
    mask = np.ones((6, 9), "int64")
    mask[1, 4:] = mask[2, 1:] = 0
    rows = mask.copy()
    if mode not in ("cls", ("last", "mean", "cls")):  # ours takes the first position, as BERT's rows begin with [CLS]
        rows[3, :5] = rows[4, 2:5] = 0
    if mode in ("mean", "mean_sqrt_len", "weighted_mean", "last"):
        rows[5] = 0
    theirs = [MODES[name] for name in ([mode] if isinstance(mode, str) else mode)]
    pooling = sentence_transformers.models.Pooling(8, pooling_mode=theirs)
    features = {"token_embeddings": torch.tensor(hidden), "attention_mask": torch.tensor(rows)}
    expected = pooling(features)["sentence_embedding"].numpy()
    np.testing.assert_allclose(np.asarray(Pooling(mode)(hidden, rows)), expected, rtol=0, atol=1e-6)


DENSE = {
    "one pooling, as LaBSE": ("cls", [{"units": 384, "activation": "tanh"}], True),
    "another width": ("mean", [{"units": 128, "use_bias": False}], True),
    "several": (["mean", "cls"], [{"units": 96, "activation": "relu"}, {"units": 24, "activation": "gelu_erf"}], False),
    "no dense": (["last", "weighted_mean", "mean_sqrt_len"], [], True),
}


@pytest.mark.parametrize("case", DENSE)
def test_projections_make_the_same_vectors_there_and_back_here(case, minilm, sentence_transformers, tmp_path):
    pooling, projections, normalize = DENSE[case]
    model = BertSentenceEncoder(minilm.model.backbone, pooling, normalize, projections)
    for layer in model.projection_layers:
        layer.set_weights([np.random.default_rng(1).normal(0, 0.1, weight.shape) for weight in layer.get_weights()])
    ours = np.asarray(model(minilm.text_to_inputs(TEXTS)))
    folder = save(model, tmp_path / "ours", minilm.text_to_inputs)
    there = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(ours, there.encode(TEXTS), rtol=0, atol=2e-5)
    there.save(str(tmp_path / "theirs"))
    back = load(tmp_path / "theirs")
    assert (back.model.pooling, back.model.projections) == (model.pooling, model.projections)
    assert back.model.normalize is normalize
    assert differing_weights(model, back.model) == []
    np.testing.assert_array_equal(np.asarray(back.model(back.text_to_inputs(TEXTS))), ours)
