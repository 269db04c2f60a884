"""Every layout that transformers writes loads with the same outputs, and what we write loads completely there."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert.checkpoints import load, load_backbone, save
from kerasbert.checkpoints.model_comparison import layer_outputs

SIZES = {
    "vocab_size": 23,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 18,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-5,
    "hidden_dropout_prob": 0.15,
    "attention_probs_dropout_prob": 0.05,
}
# Hugging Face's class -> our class, and Hugging Face's settings.
ARCHITECTURES = {
    "BertModel": ("BertBackbone", {}),
    "BertForPreTraining": ("BertPretrainer", {}),
    "BertForMaskedLM": ("BertPretrainer", {}),
    "BertForNextSentencePrediction": ("BertPretrainer", {}),
    "BertForSequenceClassification": ("BertSequenceClassifier", {"num_labels": 4, "classifier_dropout": 0.3}),
    "BertForTokenClassification": ("BertTokenClassifier", {"id2label": {0: "O", 1: "B-x", 2: "I-x"}}),
    "BertForQuestionAnswering": ("BertSpanPredictor", {}),
    "BertForMultipleChoice": ("BertMultipleChoice", {}),
}


@pytest.fixture(scope="module")
def torch(transformers):
    import torch

    return torch


@pytest.fixture
def make_theirs(transformers, torch):
    def make(architecture: str, **settings):
        torch.manual_seed(0)
        model = getattr(transformers, architecture)(transformers.BertConfig(**{**SIZES, **settings})).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape) * 0.3 + 0.1)
        return model

    return make


def outputs_of(theirs, inputs, torch) -> dict[str, np.ndarray]:
    """Their outputs under our names; our layers' names for hidden states."""
    arrays = {
        "input_ids": inputs["token_ids"],
        "token_type_ids": inputs["segment_ids"],
        "attention_mask": inputs["padding_mask"],
    }
    if "MultipleChoice" in type(theirs).__name__:
        arrays = {name: array[:, None] for name, array in arrays.items()}
    with torch.no_grad():
        tensors = {name: torch.tensor(array, dtype=torch.long) for name, array in arrays.items()}
        out = theirs(**tensors, output_hidden_states=True)
    named = {"embeddings": out.hidden_states[0]}
    named |= {f"encoder_block_{index}": states for index, states in enumerate(out.hidden_states[1:])}
    others = {
        "pooler_output": "pooled_output",
        "prediction_logits": "masked_lm",
        "seq_relationship_logits": "next_sentence",
        "start_logits": "start_logits",
        "end_logits": "end_logits",
        "logits": {"BertForMaskedLM": "masked_lm", "BertForNextSentencePrediction": "next_sentence"}.get(
            type(theirs).__name__, "output"
        ),
    }
    named |= {ours: out[key] for key, ours in others.items() if key in out}
    return {name: values.numpy() for name, values in named.items()}


def assert_same_outputs(model, theirs, torch, make_inputs) -> None:
    inputs = make_inputs(23, [18, 7, 2], 18, segments=3)
    ours, expected = layer_outputs(model, inputs), outputs_of(theirs, inputs, torch)
    is_real = inputs["padding_mask"].astype(bool)
    for name, values in expected.items():
        if name == "masked_lm":  # ours are the first four positions, theirs all
            values = np.take_along_axis(values, np.minimum(np.arange(4), is_real.sum(1)[:, None] - 1)[:, :, None], 1)
        mine = ours[name]
        if mine.shape[:2] == is_real.shape:
            mine, values = mine[is_real], values[is_real]
        np.testing.assert_allclose(mine, values, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_outputs_are_the_same_both_ways(architecture, make_theirs, transformers, torch, make_inputs, tmp_path):
    our_class, settings = ARCHITECTURES[architecture]
    theirs = make_theirs(architecture, **settings)
    theirs.save_pretrained(tmp_path / "theirs")
    loaded = load(tmp_path / "theirs")
    assert type(loaded.model).__name__ == our_class
    assert loaded.labels == (("O", "B-x", "I-x") if "Token" in architecture else loaded.labels)
    assert loaded.config.layer_norm_eps == 1e-5
    assert (loaded.config.hidden_dropout_prob, loaded.config.attention_probs_dropout_prob) == (0.15, 0.05)
    assert loaded.config.hidden_act == "gelu_erf"
    assert_same_outputs(loaded.model, theirs, torch, make_inputs)

    save(loaded.model, tmp_path / "ours", labels=loaded.labels)
    before, after = (load_file(tmp_path / folder / "model.safetensors") for folder in ("theirs", "ours"))
    before.pop("cls.predictions.decoder.weight", None), before.pop("cls.predictions.decoder.bias", None)
    assert before.keys() == after.keys()
    for name, array in after.items():
        np.testing.assert_array_equal(array, before[name], name)
    back, info = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert back.config.num_labels == theirs.config.num_labels
    assert_same_outputs(loaded.model, back.eval(), torch, make_inputs)


@pytest.mark.parametrize("hidden_act", ["gelu_new", "gelu_pytorch_tanh", "relu", "silu"])
def test_activations_are_the_same(hidden_act, make_theirs, torch, make_inputs, tmp_path):
    theirs = make_theirs("BertModel", hidden_act=hidden_act)
    theirs.save_pretrained(tmp_path)
    assert_same_outputs(load(tmp_path).model, theirs, torch, make_inputs)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("old_names", [True, False])
def test_pytorch_files_load(zipped, old_names, make_theirs, torch, make_inputs, tmp_path):
    """As bert-base-uncased was published: gamma and beta, both heads, position numbers, an output that is tied."""
    theirs = make_theirs("BertForPreTraining")
    theirs.config.save_pretrained(tmp_path)
    state = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    state["bert.embeddings.position_ids"] = torch.arange(18)[None]
    if old_names:
        renamed = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
        for new, old in renamed:
            state = {name.replace(new, old): tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert_same_outputs(load(tmp_path).model, theirs, torch, make_inputs)


def test_shards_load(make_theirs, torch, make_inputs, tmp_path):
    theirs = make_theirs("BertForMaskedLM")
    theirs.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert_same_outputs(load(tmp_path).model, theirs, torch, make_inputs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_loads_exactly(dtype, make_theirs, torch, make_inputs, tmp_path):
    theirs = make_theirs("BertModel").to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path)
    assert_same_outputs(load(tmp_path).model, theirs.to(torch.float32), torch, make_inputs)


def test_an_untied_output_is_refused(make_theirs, tmp_path):
    make_theirs("BertForMaskedLM").save_pretrained(tmp_path)
    arrays = load_file(tmp_path / "model.safetensors")
    arrays["cls.predictions.decoder.weight"] = arrays["bert.embeddings.word_embeddings.weight"] + 1
    save_file(arrays, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"cls\.predictions\.decoder\.weight must be the same as embeddings\.word"):
        load(tmp_path)
    assert "cls.predictions.bias" in load_backbone(tmp_path).dropped


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("with_vocabulary_file", [True, False])
def test_their_tokenizer_files_load_and_ours_load_there(
    lower_case, with_vocabulary_file, make_theirs, transformers, tmp_path
):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdABCD", "é", "e", "##b", "##c", "中", "!", "##A", "ae"]
    pieces += [f"[unused{index}]" for index in range(23 - len(pieces))]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizer.from_pretrained(tmp_path, do_lower_case=lower_case, model_max_length=12)
    theirs = tmp_path / "theirs"
    make_theirs("BertModel").save_pretrained(theirs)
    tokenizer.save_pretrained(theirs)
    if with_vocabulary_file:
        (tmp_path / "vocab.txt").rename(theirs / "vocab.txt")
    loaded = load(theirs)
    texts = ["ab é A中c!", "Abc dB" * 9, ""]
    ids = loaded.text_to_inputs(texts)
    assert loaded.text_to_inputs.sequence_length == 12
    save(loaded.model, tmp_path / "ours", loaded.text_to_inputs)
    for folder in (theirs, tmp_path / "ours"):
        encoded = transformers.AutoTokenizer.from_pretrained(folder)(
            texts, padding=True, truncation=True, return_tensors="np"
        )
        np.testing.assert_array_equal(ids["token_ids"], encoded["input_ids"])
        np.testing.assert_array_equal(ids["padding_mask"], encoded["attention_mask"])
        pair = transformers.AutoTokenizer.from_pretrained(folder)(["ab é", "c"], ["A!", ""], padding=True)
        ours = loaded.text_to_inputs((["ab é", "c"], ["A!", ""]))
        assert ours["token_ids"].numpy().tolist() == pair["input_ids"]
        assert ours["segment_ids"].numpy().tolist() == pair["token_type_ids"]
