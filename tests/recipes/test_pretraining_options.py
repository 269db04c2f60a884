"""Options that change how a model is pretrained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.errors import BadInputError
from kerasbert.recipes import PretrainingSettings, pretrain, pretraining
from kerasbert.recipes.pretraining_instances import Records

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "old", "day", "night"]
CONFIG = (
    '{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, '
    '"intermediate_size": 8, "max_position_embeddings": 32}'
)


@pytest.fixture
def start(tmp_path: Path) -> dict[str, Any]:
    """Four steps, two on short and two on long sequences."""
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (tmp_path / "config.json").write_text(CONFIG)
    lines = "\n".join(["new day old night", "old day new night"] * 4)
    (tmp_path / "text.txt").write_text("\n\n".join([lines] * 10) + "\n")
    paths = {"output": "run", "model": "config.json", "vocabulary": "vocab.txt", "texts": "text.txt"}
    lengths = {"sequence_length": 16, "long_sequence_length": 32, "steps": 4, "long_share": 0.5, "batch_size": 4}
    rest = {"short_sequence_probability": 0.0, "show_progress": False, "dupe_factor": 1, "checkpoint_every": 1}
    return {**{name: tmp_path / path for name, path in paths.items()}, **lengths, **rest}


def test_the_masking_rate_falls_over_both_phases(start: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shares, held_out = [], []

    def fit(model: Any, phases: Any, validate: Any, **arguments: Any) -> None:
        for phase in phases:
            for x, _, weights in phase.make_dataset(0).take(phase.steps):
                shares.append(weights["masked_lm"].numpy().sum(1) / x["padding_mask"].numpy().sum(1))
        validate(model)
        raise RuntimeError("enough")

    def evaluate(model: Any, batches: Any) -> None:
        x, _, weights = next(iter(batches))
        held_out.append(weights["masked_lm"].numpy().sum(1) / x["padding_mask"].numpy().sum(1))

    monkeypatch.setattr(pretraining, "fit", fit)
    monkeypatch.setattr(pretraining, "evaluate_pretrainer", evaluate)
    with pytest.raises(RuntimeError, match="enough"):
        pretrain(PretrainingSettings(**start, masked_lm_rate=0.5, final_masked_lm_rate=0.2))
    # Rounded to whole tokens of at least 13 in a row.
    for share, rate in zip([*shares, *held_out], [0.5, 0.4, 0.3, 0.2, 0.2], strict=True):
        np.testing.assert_allclose(share, rate, atol=0.5 / 13)


def test_records_that_are_masked_already_have_one_rate(start: dict[str, Any], tmp_path: Path) -> None:
    settings = PretrainingSettings(**start, final_masked_lm_rate=0.1)
    with pytest.raises(BadInputError, match=r"Received: final_masked_lm_rate=0\.1 for masked records"):
        pretrain(settings, records=Records(tmp_path, tmp_path, is_masked=True))
    assert not (tmp_path / "run").exists()


def test_a_single_batch_per_update_cannot_rise(start: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"Received: batch_size_ramp=0\.5 with accumulation_steps=1\. Set `accumu"):
        pretrain(PretrainingSettings(**start, batch_size_ramp=0.5))
    assert not (tmp_path / "run").exists()


def test_averaged_weights_are_measured_and_saved_after_a_kill_too(
    start: dict[str, Any], tmp_path: Path, killed_and_resumed: Any
) -> None:
    ramp = {"accumulation_steps": 2, "batch_size_ramp": 0.5}
    options = {"ema": 0.5, "final_masked_lm_rate": 0.3, "gradient_checkpointing": True, "validate_every": 2, **ramp}
    settings = {**start, "long_share": 0.0, **options}
    whole = pretrain(PretrainingSettings(**settings))
    assert whole.history.rows[-1]["masked_lm_loss"] == pytest.approx(whole.metrics["masked_lm_loss"], rel=1e-6)
    settings = PretrainingSettings(**{**settings, "output": tmp_path / "killed"})
    resumed = killed_and_resumed(pretraining, "evaluate_pretrainer", lambda: pretrain(settings))
    for ours, expected in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
