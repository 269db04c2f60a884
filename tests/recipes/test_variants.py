"""An encoder with variants goes all the way: pretrained from a config file, exported, and answering the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.checkpoints import load, save
from kerasbert.recipes import PretrainingSettings, pretrain
from kerasbert.recipes.exporting import export_model

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "old", "day", "night"]
SIZES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
VARIANTS = {
    "norm_placement": "pre",
    "norm_type": "rms_norm",
    "use_bias": False,
    "gated_feed_forward": True,
    "position_type": "rotary",
}


@pytest.mark.slow
def test_pretrained_and_exported(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    config = {**SIZES, **VARIANTS, "hidden_act": "silu", "max_position_embeddings": 32, "type_vocab_size": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    lines = "\n".join(["new day old night", "old day new night"] * 4)
    (tmp_path / "text.txt").write_text("\n\n".join([lines] * 10) + "\n")
    paths = {"output": "run", "model": "config.json", "vocabulary": "vocab.txt", "texts": "text.txt"}
    settings = PretrainingSettings(
        **{name: tmp_path / path for name, path in paths.items()},
        sequence_length=16,
        steps=2,
        batch_size=4,
        dupe_factor=1,
        show_progress=False,
    )
    pretrain(settings)
    loaded = load(tmp_path / "run" / "model")
    assert loaded.config.variants == VARIANTS

    encoder = save(loaded.model.backbone, tmp_path / "encoder", loaded.text_to_inputs)
    exported = export_model(encoder, tmp_path / "exported")
    texts = tf.constant(["new day", "old night new day night"])
    answers = tf.saved_model.load(str(exported)).signatures["embed"](text=texts)
    inputs = loaded.text_to_inputs(texts)
    expected = loaded.model.backbone(inputs, training=False)["sequence_output"].numpy()
    for row, hidden in enumerate(expected):
        real = inputs["padding_mask"].numpy()[row].astype(bool)
        np.testing.assert_allclose(answers["embedding"][row], hidden[real].mean(0), atol=1e-5)
    stored = json.loads(next(Path(exported).rglob("assets/config.json")).read_text())
    assert (stored["model_type"], stored["norm_placement"]) == ("kerasbert", "pre")
