"""Masks are filled with the pieces that the model's logits, an exported model and transformers give."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert import BertBackbone, BertConfig, BertPretrainer, export
from kerasbert.checkpoints import load, save
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes.tasks.mask_filling import MaskedLanguageModel, fill, load_masked_language_model

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "is", "here", "##s", "##ing")
TEXTS = ["the [MASK] is here", "[MASK]", "the [MASK][MASK] is [MASK] here", "[MASK]s"]


@pytest.fixture(scope="module")
def language_model() -> MaskedLanguageModel:
    """A model with four more rows of embeddings than pieces."""
    keras.utils.set_random_seed(1)
    config = BertConfig.named(
        "bert-tiny",
        vocab_size=len(PIECES) + 4,
        hidden_size=16,
        intermediate_size=16,
        max_position_embeddings=16,
        initializer_range=0.5,
    )
    model = BertPretrainer(BertBackbone.from_config(config))
    return MaskedLanguageModel(model, TextToInputs(WordPieceTokenizer(Vocabulary(PIECES)), sequence_length=12))


def test_candidates_are_the_softmax_of_the_logits(language_model: MaskedLanguageModel) -> None:
    (answer,) = fill(language_model, ["the [MASK] is [MASK]"], top_n=3)
    ids = np.array([[2, 5, 4, 8, 4, 3]])
    inputs = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids * 0 + 1, "mask_positions": [[2, 4]]}
    outputs = language_model.model({name: keras.ops.array(values) for name, values in inputs.items()})
    logits = keras.ops.convert_to_numpy(outputs["masked_lm"])[0, :, : len(PIECES)]
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for candidates, row in zip(answer["candidates"], expected, strict=True):
        best = np.argsort(-row)[:3]
        assert [candidate["piece"] for candidate in candidates] == [PIECES[piece] for piece in best]
        np.testing.assert_allclose([candidate["probability"] for candidate in candidates], row[best], rtol=1e-4)


def test_answers_do_not_depend_on_the_batch(language_model: MaskedLanguageModel) -> None:
    for text, answer in zip(TEXTS, fill(language_model, TEXTS, batch_size=3), strict=True):
        (alone,) = fill(language_model, [text])
        assert answer["filled"] == alone["filled"]
        assert len(answer["candidates"]) == text.count("[MASK]")
        for candidates, others in zip(answer["candidates"], alone["candidates"], strict=True):
            probabilities, expected = ([each["probability"] for each in pieces] for pieces in (candidates, others))
            np.testing.assert_allclose(probabilities, expected, rtol=1e-4)


@pytest.mark.slow
def test_answers_are_those_of_the_exported_model(language_model: MaskedLanguageModel, tmp_path: Path) -> None:
    folder = export.save(language_model.model, tmp_path / "served", language_model.text_to_inputs)
    module = tf.saved_model.load(str(folder))
    served = module.signatures["text"](tf.constant(TEXTS))
    for row, answer in enumerate(fill(language_model, TEXTS)):
        assert len(answer["candidates"]) == served["mask_count"][row]
        for mask, candidates in enumerate(answer["candidates"]):
            pieces = [candidate["piece"] for candidate in candidates]
            probabilities = [candidate["probability"] for candidate in candidates]
            assert pieces == [piece.decode() for piece in served["pieces"][row, mask].numpy()]
            np.testing.assert_allclose(probabilities, served["probabilities"][row, mask], rtol=1e-4)


def test_a_folder_in_hugging_faces_layout_gives_the_same_answers(
    language_model: MaskedLanguageModel, tmp_path: Path
) -> None:
    save(language_model.model, tmp_path / "model", language_model.text_to_inputs, format="hugging_face")
    loaded = load_masked_language_model(tmp_path / "model")
    for ours, theirs in zip(fill(language_model, TEXTS), fill(loaded, TEXTS), strict=True):
        assert ours["filled"] == theirs["filled"]


def test_a_model_with_the_other_head_only_is_refused(language_model: MaskedLanguageModel, tmp_path: Path) -> None:
    head = language_model.model.masked_lm_head
    save(language_model.model, tmp_path / "model", language_model.text_to_inputs)
    without = load(tmp_path / "model").model
    assert isinstance(without, BertPretrainer)
    without.masked_lm_head.transform_dense.kernel.assign(keras.ops.zeros_like(head.transform_dense.kernel))
    save(without, tmp_path / "other", language_model.text_to_inputs)
    with pytest.raises(BadInputError, match="next-sentence weights only"):
        load_masked_language_model(tmp_path / "other")
