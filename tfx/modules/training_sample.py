"""A sample of training texts with their token ids, stored with the run to compare them with the exported model's."""

import json
from collections.abc import Sequence
from pathlib import Path

from kerasbert.data import labelled_dataset
from kerasbert.files import write_aside
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.fine_tuning_rows import Rows

SAMPLE_FILE = "training_sample.jsonl"
_MOST_TEXTS = 2000
_BATCH_SIZE = 64


def write_training_sample(folder: Path, splits: Sequence[Rows], to_inputs: TextToInputs) -> None:
    """Writes texts and their ids, as computed by the same dataset as in training.

    Args:
        folder: The folder for `training_sample.jsonl`.
        splits: Rows. The first ones of each split are taken, with both texts of a pair.
        to_inputs: The preprocessing of training.
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
