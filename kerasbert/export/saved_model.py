"""Writes one SavedModel version that takes raw strings, as TF Serving and the local server take it up.

The folder holds everything: the graph with the tokenizer in it, the weights, and as assets the vocabulary, the
preprocessing's settings, the labels and the model's config. What the signatures compute: see served_model.py.
"""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert.export.serving_task import served_model
from kerasbert.export.version_folders import next_version_folder
from kerasbert.files import write_folder_aside


def save(
    model: Any,
    text_to_inputs: Any,
    folder: str | os.PathLike[str],
    labels: Iterable[str] | None = None,
    version: int | None = None,
    *,
    text_feature: str = "text",
    pair_feature: str = "text_pair",
) -> Path:
    """Writes `folder/<version>`, a SavedModel that takes raw strings, and returns its path.

    It is written aside and renamed, so a server that watches `folder` never sees half of it.

    Signatures, each with the batch first in every output (B rows, T tokens of the longest text in the batch, C labels,
    H hidden size):

    | signature | inputs | outputs |
    | --- | --- | --- |
    | `serving_default`, `text` | `text` string [B] | the task's answer |
    | `text_pair` | `text`, `text_pair` string [B] | the task's answer on the pair |
    | `token_ids` | `token_ids`, `segment_ids`, `padding_mask` int32 [B, T] | the task's answer |
    | `examples` | `examples` string [B], serialized tf.Examples | the task's answer |
    | `embed` | `text` string [B] | `embedding` (mean of the text's tokens), `pooled_output` float32 [B, H] |
    | `tokenize` | `text` string [B] | `token_ids`, `padding_mask`, `starts`, `ends` int32, `pieces` string [B, T] |

    The task's answer is

    * for a classifier `label` string and `probability` float32 [B] of the best, `labels` and `probabilities` [B, C],
      the best first, and `logits` [B, C] in the order of the labels;
    * for regression `prediction`, float32 [B] for one number and [B, C] for several, and the same as `logits` [B, C];
    * for a bare backbone `sequence_output` [B, T, H], `pooled_output` [B, H] and `padding_mask` [B, T];
    * for a pretrainer the pieces that fit the text's `[MASK]`s: `mask_count` int32 [B], `pieces` string and
      `probabilities` float32 [B, masks, 5], and on pairs `is_next_probability` [B]. Its `token_ids` takes
      `masked_positions` too and gives the bare logits `masked_lm` [B, masks, V] and `next_sentence` [B, 2].

    Args:
        model: a `BertSequenceClassifier`, `BertBackbone` or `BertPretrainer` on Keras' TensorFlow backend. Only its
            weights are written, no optimizer; dropout is off.
        text_to_inputs: the `TextToInputs` that the model was trained with.
        folder: the model's folder, in which each version is a numbered folder. Made when it is missing.
        labels: the label names of a classifier in the order of its logits. By default "LABEL_0", "LABEL_1" and so on.
        version: a number larger than all that are there. By default the next one.
        text_feature: name of the tf.Example feature that holds the text.
        pair_feature: name of the tf.Example feature that holds the second text. An example without it is one text.

    Returns:
        The path of the new version's folder.

    Raises:
        BadInputError: the model, preprocessing and labels do not fit together, the model is of another kind or
            backend, or `version` is not larger than those that are there.
        OSError: the folder cannot be written. No version is then left under its final name.
    """
    served = served_model(model, text_to_inputs, labels, text_feature=text_feature, pair_feature=pair_feature)
    with next_version_folder(folder, version) as final, write_folder_aside(final) as aside:
        _write(served, aside)
    return final


def _write(served: Any, folder: Path) -> None:
    """Writes the SavedModel into an empty folder."""
    root = tf.Module(name="served_model")
    # The bare variables and not the Keras model, which would bring its optimizer along.
    root.weights = [weight.value for weight in served.model.weights]
    root.text_to_inputs = served.text_inputs.text_to_inputs
    with tempfile.TemporaryDirectory() as temporary:
        root.assets = [tf.saved_model.Asset(str(path)) for path in _write_assets(served, Path(temporary))]
        options = tf.saved_model.SaveOptions(namespace_whitelist=["TFText"], experimental_custom_gradients=False)
        tf.saved_model.save(root, str(folder), signatures=served.signatures(), options=options)


def _write_assets(served: Any, folder: Path) -> list[Path]:
    """The files that tell people and programs what the model is."""
    served.text_inputs.text_to_inputs.save(folder)
    served.backbone.bert_config.to_json(folder / "config.json")
    if served.labels:
        text = json.dumps(served.labels, ensure_ascii=False, indent=2)
        (folder / "labels.json").write_text(text + "\n", encoding="utf-8")
    return sorted(folder.iterdir())
