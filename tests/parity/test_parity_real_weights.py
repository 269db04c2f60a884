"""Real trained weights give the same numbers as elsewhere, layer by layer and from strings to vectors."""

import itertools
from pydoc_data import topics

import numpy as np
import pytest
from safetensors.numpy import load_file

from kerasbert.checkpoints import convert, load
from kerasbert.checkpoints.formats.tensorflow_checkpoint import read_tensorflow
from kerasbert.checkpoints.model_comparison import layer_outputs
from kerasbert.models import BertSentenceEncoder
from kerasbert.preprocessing import TextToInputs

LENGTHS = [([8, 5], 8), ([64, 1, 33], 64), ([256, 100], 256), ([512], 512)]
TEXTS = [
    "A man is eating food.",
    "Someone eats a meal.",
    "The girl is carrying a baby!",
    "Ein Mann ißt Brot, naïve café — 100%.",
    "",
    "word " * 400,
]


def largest(ours, theirs, inputs) -> float:
    """The largest difference of two lists of layers at real tokens, of a number above 1 as a share of it.

    A few hidden states of these weights are near 10, where two float32 numbers lie 1e-6 apart.
    """
    is_real = inputs["padding_mask"].astype(bool)
    found = []
    for mine, yours in itertools.zip_longest(ours, theirs):
        yours = np.asarray(yours)
        if mine.ndim == 3:
            mine, yours = mine[is_real], yours[is_real]
        found.append(np.max(np.abs(mine - yours) / np.maximum(1, np.abs(yours))))
    return float(max(found))


def test_pooling_and_normalization_are_those_of_the_folder(minilm):
    assert isinstance(minilm.model, BertSentenceEncoder)
    assert minilm.source_format == "sentence_transformers"
    assert (minilm.model.pooling, minilm.model.normalize) == ("mean", True)
    assert minilm.config.hidden_act == "gelu_erf"
    assert minilm.text_to_inputs.sequence_length == 256
    assert minilm.text_to_inputs.tokenizer.lower_case


@pytest.mark.parametrize(("lengths", "tokens"), LENGTHS[:2])
def test_hidden_states_are_those_of_a_plain_numpy_model(
    lengths, tokens, minilm, minilm_folder, numpy_bert, make_inputs
):
    inputs = make_inputs(30522, lengths, tokens)
    reference = numpy_bert(load_file(minilm_folder / "model.safetensors"), "hugging_face", heads=12, gelu="erf")
    ours = layer_outputs(minilm.model.backbone, inputs)
    assert largest(ours.values(), reference.hidden_states(**inputs), inputs) < 1e-5


def pytorch_hidden_states(transformers, folder, inputs) -> list[np.ndarray]:
    """The embeddings' output, that of each block, and the pooled output, computed in float64.

    In float32, PyTorch's own are nearly 1e-5 from these, and each run rounds differently.
    """
    import torch

    names = {"token_ids": "input_ids", "segment_ids": "token_type_ids", "padding_mask": "attention_mask"}
    tensors = {names[name]: torch.tensor(np.asarray(array), dtype=torch.long) for name, array in inputs.items()}
    reference = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval().double()
    with torch.no_grad():
        outputs = reference(**tensors, output_hidden_states=True)
    assert len(outputs.hidden_states) == 7
    return [*outputs.hidden_states, outputs.pooler_output]


@pytest.mark.parametrize(("lengths", "tokens"), LENGTHS)
def test_hidden_states_are_those_of_pytorch(lengths, tokens, minilm, minilm_folder, transformers, make_inputs):
    inputs = make_inputs(30522, lengths, tokens)
    theirs = pytorch_hidden_states(transformers, minilm_folder, inputs)
    assert largest(layer_outputs(minilm.model.backbone, inputs).values(), theirs, inputs) < 1e-5


def test_hidden_states_of_real_text_are_those_of_pytorch(minilm, minilm_folder, transformers):
    texts = [text for text in topics.topics.values() if len(text) > 3000][:1]
    to_inputs = TextToInputs(minilm.text_to_inputs.tokenizer, sequence_length=512)
    inputs = {name: tensor.numpy() for name, tensor in to_inputs([*TEXTS[:2], *texts]).items()}
    assert inputs["token_ids"].shape == (3, 512)
    theirs = pytorch_hidden_states(transformers, minilm_folder, inputs)
    assert largest(layer_outputs(minilm.model.backbone, inputs).values(), theirs, inputs) < 1e-5


def pytorch_embeddings(transformers, folder, texts) -> np.ndarray:
    """What sentence-transformers does: mean of the real tokens' hidden states, scaled to length 1."""
    import torch

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**encoded).last_hidden_state
    mask = encoded["attention_mask"][:, :, None].float()
    means = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(means, dim=1).numpy()


def test_sentence_embeddings_and_pair_scores_are_those_of_pytorch(minilm, minilm_folder, transformers):
    theirs = pytorch_embeddings(transformers, minilm_folder, TEXTS)
    ours = np.asarray(minilm.model(minilm.text_to_inputs(TEXTS)))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, rtol=0, atol=1e-5)
    assert ours[0] @ ours[1] > 0.6 > 0.2 > ours[0] @ ours[2]


def test_sentence_embeddings_from_the_exported_model(minilm, minilm_folder, tmp_path):
    """From raw strings, in a SavedModel without our classes; compared with PyTorch too if it is installed."""
    import tensorflow as tf

    from kerasbert import export

    folder = export.save(minilm.model, tmp_path / "exported", minilm.text_to_inputs)
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    vectors = served(text=tf.constant(TEXTS))["embedding"].numpy()
    live = np.asarray(minilm.model(minilm.text_to_inputs(TEXTS)))
    np.testing.assert_allclose(vectors, live, rtol=0, atol=1e-5)
    try:
        import transformers
    except ImportError:
        return
    np.testing.assert_allclose(vectors, pytorch_embeddings(transformers, minilm_folder, TEXTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("format", ["hugging_face", "google_tf1"])
def test_a_conversion_keeps_every_bit(format, minilm, minilm_folder, numpy_bert, make_inputs, tmp_path):
    report = convert(minilm_folder, tmp_path / "converted", format)
    assert (report.num_weights, report.largest_difference) == (101, 0)
    if format == "google_tf1":
        arrays = read_tensorflow(tmp_path / "converted/bert_model.ckpt")
        inputs = make_inputs(30522, [8, 5], 8)
        reference = numpy_bert(arrays, "google_tf1", heads=12, gelu="erf")
        ours = layer_outputs(minilm.model.backbone, inputs)
        assert largest(ours.values(), reference.hidden_states(**inputs), inputs) < 1e-5
        return
    source, written = (load_file(folder / "model.safetensors") for folder in (minilm_folder, tmp_path / "converted"))
    assert source.keys() - written.keys() == {"embeddings.position_ids"}
    for name, array in written.items():
        np.testing.assert_array_equal(array, source[name])


def test_the_tiny_google_checkpoint_computes_what_a_plain_numpy_model_does(shared_data, numpy_bert, make_inputs):
    folder = shared_data / "google-tf1-checkpoint"
    loaded = load(folder)
    inputs = make_inputs(15, [16, 9, 1], 16)
    reference = numpy_bert(read_tensorflow(folder / "bert_model.ckpt"), "google_tf1", heads=4, gelu="tanh")
    ours = layer_outputs(loaded.model.backbone, inputs)
    assert largest(ours.values(), reference.hidden_states(**inputs), inputs) < 1e-5
