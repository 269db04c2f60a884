"""The ids that training made of some of its texts, kept beside the run for a comparison with the exported model's."""

import json
from collections.abc import Sequence
from pathlib import Path

from kerasbert.data import LabelledTexts, labelled_dataset
from kerasbert.files import write_aside
from kerasbert.preprocessing import TextToInputs

SAMPLE_FILE = "training_sample.jsonl"
_MOST_TEXTS = 2000
_BATCH_SIZE = 64


def write_training_sample(folder: Path, splits: Sequence[LabelledTexts], to_inputs: TextToInputs) -> None:
    """Writes texts and their ids, through the same dataset as training takes them.

    Args:
        folder: where `training_sample.jsonl` is written.
        splits: rows of which the first ones are taken, both texts of a pair.
        to_inputs: the preprocessing of training.
    """
    share = _MOST_TEXTS // len(splits)
    texts = [text for rows in splits for column in (rows.texts, rows.pairs or ()) for text in column[:share]]
    with write_aside(folder / SAMPLE_FILE) as aside, aside.open("w", encoding="utf-8") as file:
        position = 0
        for inputs in labelled_dataset(texts, None, to_inputs, _BATCH_SIZE):
            ids, mask = inputs["token_ids"].numpy(), inputs["padding_mask"].numpy().astype(bool)
            for row, is_real in zip(ids, mask, strict=True):
                line = {"text": texts[position], "token_ids": row[is_real].tolist()}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                position += 1
