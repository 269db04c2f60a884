"""A folder for another runtime is complete, and appears as a whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kerasbert import checkpoints
from kerasbert.checkpoints.formats.tokenizer_json import write_tokenizer_json
from kerasbert.cli.command_line import kerasbert
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSentenceEncoder
from kerasbert.preprocessing import AddedToken, TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import export_graph

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "dog", "the", "!", "cat", "日", "é", "<e1>")
TEXTS = ["The dog playing!", "cat 日日 <e1> é", "", "playdog", "the " * 20]


@pytest.fixture
def text_to_inputs() -> TextToInputs:
    tokenizer = WordPieceTokenizer(Vocabulary(PIECES), added_tokens=[AddedToken("<e1>", normalized=False)])
    return TextToInputs(tokenizer, sequence_length=12)


@pytest.fixture
def model_folder(text_to_inputs: TextToInputs, tmp_path: Path) -> Path:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=len(PIECES), max_position_embeddings=16, hidden_act="gelu_erf", **sizes)
    model = BertSentenceEncoder(BertBackbone.from_config(config))
    return checkpoints.save(model, tmp_path / "model", text_to_inputs)


def test_the_folder_is_complete_and_replaces_earlier_graphs(model_folder, text_to_inputs, tmp_path):
    for package in ("tf2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs the extra onnx: {package} is not installed")
    import onnxruntime

    folder = checkpoints.save(checkpoints.load(model_folder).model, tmp_path / "exported", text_to_inputs)
    (folder / "litert").mkdir()
    (folder / "litert" / "model.tflite").touch()
    (folder / "notes.txt").touch()
    assert export_graph(model_folder, folder, "onnx") == folder
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {
        *("config.json", "model.safetensors", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"),
        *("vocab.txt", "preprocessing.json", "tokenizer_config.json", "tokenizer.json", "onnx/model.onnx", "notes.txt"),
    }
    loaded = checkpoints.load(folder)
    inputs = {name: np.asarray(ids) for name, ids in loaded.text_to_inputs(TEXTS).items()}
    session = onnxruntime.InferenceSession(str(folder / "onnx/model.onnx"), providers=["CPUExecutionProvider"])
    (vectors,) = session.run(
        ["sentence_embedding"],
        {
            "input_ids": inputs["token_ids"].astype("int64"),
            "attention_mask": inputs["padding_mask"].astype("int64"),
            "token_type_ids": inputs["segment_ids"].astype("int64"),
        },
    )
    np.testing.assert_allclose(vectors, np.asarray(loaded.model(inputs)), atol=1e-5)


def test_a_refused_graph_leaves_no_folder(model_folder, tmp_path, monkeypatch):
    from kerasbert import export

    def refuse(*_: object) -> None:
        raise BadInputError("no")

    monkeypatch.setattr(export, "write_graph", refuse)
    monkeypatch.setattr("kerasbert.recipes.exporting.check_available", lambda format: None)
    with pytest.raises(BadInputError, match="no"):
        export_graph(model_folder, tmp_path / "exported", "onnx")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_the_models_own_folder_is_refused(model_folder, monkeypatch):
    monkeypatch.setattr("kerasbert.recipes.exporting.check_available", lambda format: None)
    for folder in (model_folder, model_folder.parent):
        with pytest.raises(BadInputError, match="must not be the model's own folder"):
            export_graph(model_folder, folder, "onnx")


def test_tokenizer_json_makes_the_same_ids(text_to_inputs, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    write_tokenizer_json(tmp_path, text_to_inputs)
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(TEXTS)
    ours = {name: np.asarray(ids).tolist() for name, ids in text_to_inputs(TEXTS).items()}
    assert [row.ids for row in encoded] == ours["token_ids"]
    assert [row.attention_mask for row in encoded] == ours["padding_mask"]
    pair = tokenizer.encode("the dog", "cat!")
    ours = {name: np.asarray(ids)[0].tolist() for name, ids in text_to_inputs(["the dog"], ["cat!"]).items()}
    assert (pair.ids, pair.type_ids) == (ours["token_ids"], ours["segment_ids"])


def test_options_of_saved_models_are_usage_errors():
    result = CliRunner().invoke(
        kerasbert, ["export", "model", "exported", "--format", "onnx", "--version", "3", "--no-warm-up"]
    )
    assert result.exit_code == 2
    assert "--version, --no-warm-up can be used only with --format saved_model." in result.output
