"""Writes one SavedModel version that takes raw strings, as TF Serving and the local server take it up.

The folder holds everything: the graph with the tokenizer in it, the weights, and as assets the vocabulary, the
preprocessing's settings, the labels and the model's config. What the signatures compute: see served_model.py.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.model_card import check_facts, write_model_card
from kerasbert.export.saved_model_file import finish_saved_model
from kerasbert.export.served.model import ServedModel, Signature
from kerasbert.export.served.task import served_model
from kerasbert.export.serving_compatibility import check_serving_version, parsed_version
from kerasbert.export.version_folders import next_version_folder
from kerasbert.export.warm_up import WarmUp, write_warm_up
from kerasbert.files import write_folder_aside
from kerasbert.preprocessing import TextToInputs

WARM_UP = WarmUp()


def save(
    model: Any,
    folder: str | os.PathLike[str],
    text_to_inputs: TextToInputs,
    labels: Iterable[str] | None = None,
    version: int | None = None,
    **options: Any,
) -> Path:
    """Writes `folder/<version>`, a SavedModel that takes raw strings, and returns its path.

    It is written aside and renamed, so a server that watches `folder` never sees half of it.

    Signatures, each with the batch first in every output (B rows, T tokens of the longest text in the batch, C labels,
    H hidden size):

    | signature | inputs | outputs |
    | --- | --- | --- |
    | `serving_default`, `text` | `text` string [B] | the task's answer |
    | `text_pair` | `text`, `text_pair` string [B] | the task's answer on the pair |
    | `token_ids` | `token_ids`, `segment_ids`, `padding_mask` int32 [B, T] | the task's answer, or bare logits |
    | `examples` | `examples` string [B], serialized tf.Examples | the task's answer |
    | `classify`, `regress` | `inputs` string [B], serialized tf.Examples | as TF Serving's methods want them |
    | `embed` | `text` string [B] | `embedding` (mean of the text's tokens), `pooled_output` float32 [B, H] |
    | `tokenize` | `text` string [B] | `token_ids`, `padding_mask`, `starts`, `ends` int32, `pieces` string [B, T] |
    | `attention` | `text` string [B] | `attention` [B, blocks, heads, T, T], `pieces`, `padding_mask` [B, T] |

    A classifier's answer is `label` string and `probability` float32 [B] of the best, `labels` and `probabilities`
    [B, C], best first, and `logits` [B, C] in the order of the labels. The answers of the other models are in
    docs/export.md. A `BertSpanPredictor` takes `question` and `context`, a `BertMultipleChoice` `text` and `choices`.

    Args:
        model: a model of `kerasbert.models` on Keras' TensorFlow backend. Only its weights are written, no optimizer;
            dropout is off.
        folder: the model's folder, in which each version is a numbered folder. Made when it is missing.
        text_to_inputs: the `TextToInputs` that the model was trained with.
        labels: the label names of a classifier in the order of its logits. By default "LABEL_0", "LABEL_1" and so on.
        version: a number larger than all that are there. By default the next one.
        **options: see `write`.

    Returns:
        The path of the new version's folder.

    Raises:
        BadInputError: the model, preprocessing and labels do not fit together, the model is of another kind or
            backend, or `version` is not larger than those that are there.
        OSError: the folder cannot be written. No version is then left under its final name.
    """
    with next_version_folder(folder, version) as final:
        write(model, final, text_to_inputs, labels, **options)
    return final


def write(
    model: Any,
    folder: str | os.PathLike[str],
    text_to_inputs: TextToInputs,
    labels: Iterable[str] | None = None,
    *,
    min_serving_version: str | None = None,
    model_card: Mapping[str, Any] | None = None,
    warm_up: WarmUp | None = WARM_UP,
    answer_search: AnswerSearch | None = None,
    text_feature: str | None = None,
    pair_feature: str | None = None,
) -> None:
    """Writes the same SavedModel as `save`, without a version: `folder` itself is the SavedModel.

    For those who number versions themselves, such as TFX's Pusher. A folder that is there is replaced as a whole.

    Args:
        model: see `save`.
        folder: the folder to write.
        text_to_inputs: see `save`.
        labels: see `save`.
        min_serving_version: the oldest TF Serving that is to serve the model, such as "2.12". A model with an op that
            this version does not link is refused.
        model_card: what the model cannot tell itself, for its model card: `data`, `metrics`, `limits` and more, in any
            form that JSON can hold.
        warm_up: which requests a server runs while it loads the model, or None for no such file.
        answer_search: how a `BertSpanPredictor`'s answers are looked for.
        text_feature: name of the tf.Example feature that holds the text, when not "text" ("question" for a
            `BertSpanPredictor`).
        pair_feature: name of the feature that holds the second text, when not "text_pair" ("context" for a
            `BertSpanPredictor`, "choices" for a `BertMultipleChoice`).

    Raises:
        BadInputError: as for `save`; or an op is missing in `min_serving_version`, `model_card` holds something that
            JSON cannot, or there are too many warm-up requests.
        OSError: the folder cannot be written. It is then as it was.
    """
    if min_serving_version is not None:
        parsed_version(min_serving_version)
    facts = model_card or {}
    check_facts(facts)
    served = served_model(
        model, text_to_inputs, labels, answer_search, text_feature=text_feature, pair_feature=pair_feature
    )
    with write_folder_aside(folder) as aside:
        signatures = served.signatures()
        _write_saved_model(served, signatures, text_to_inputs, aside)
        finish_saved_model(aside)
        if min_serving_version is not None:
            check_serving_version(aside, min_serving_version)
        write_model_card(served, facts, aside)
        if warm_up is not None:
            write_warm_up(served, signatures, warm_up, aside)


def _write_saved_model(
    served: ServedModel, signatures: Mapping[str, Signature], text_to_inputs: TextToInputs, folder: Path
) -> None:
    """Writes the SavedModel into an empty folder."""
    root = tf.Module(name="served_model")
    # The bare variables and not the Keras model, which would bring its optimizer along.
    root.weights = [weight.value for weight in served.model.weights]
    root.text_to_inputs = served.text_inputs.text_to_inputs
    with tempfile.TemporaryDirectory() as temporary:
        root.assets = [tf.saved_model.Asset(str(path)) for path in _assets(served, text_to_inputs, Path(temporary))]
        options = tf.saved_model.SaveOptions(namespace_whitelist=["TFText"], experimental_custom_gradients=False)
        tf.saved_model.save(root, str(folder), signatures=dict(signatures), options=options)


def _assets(served: ServedModel, text_to_inputs: TextToInputs, folder: Path) -> list[Path]:
    """Writes the files that tell people and programs what the model is."""
    text_to_inputs.save(folder)
    served.backbone.bert_config.to_json(folder / "config.json")
    if served.labels:
        text = json.dumps(served.labels, ensure_ascii=False, indent=2)
        (folder / "labels.json").write_text(text + "\n", encoding="utf-8")
    return sorted(folder.iterdir())
