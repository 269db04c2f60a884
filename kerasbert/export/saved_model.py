"""Writes a model as one SavedModel version that takes raw strings, ready for TF Serving and `kerasbert serve`.

The folder is complete: the graph including the tokenizer, the weights and, as assets, the vocabulary, the
preprocessing's settings, the labels and the model's config. What the signatures are: see signatures.py. What they
compute: see served/.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.load_check import check_loads, check_servable_path
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
    """Write `folder/<version>`, a SavedModel that takes raw strings.

    The version is written under a temporary name, loaded once as a server loads it, and then renamed. So a server that
    watches `folder` never sees half a version.

    Every model has the signatures `serving_default`, `token_ids`, `examples` (tf.Examples), `embed`, `tokenize`,
    `attention` and `attention_layers`; models for single texts also have `text` and, with two segments, `text_pair`.
    docs/export.md lists all of them, with the inputs and outputs for each kind of model.

    Args:
        model: a model of `kerasbert.models` on Keras' TensorFlow backend. Only its weights are written, no optimizer
            state. Dropout is off.
        folder: the model's folder on a local disk, with one numbered folder for each version. Created if missing.
        text_to_inputs: the `TextToInputs` that the model was trained with.
        labels: the label names of a classifier, in the order of its logits. By default "LABEL_0", "LABEL_1" and so on.
        version: an integer larger than all existing versions. By default the next one.
        **options: see `write`.

    Returns:
        The path of the new version's folder.

    Raises:
        ValueError: the model, preprocessing and labels do not fit together, the model cannot be exported, `version` is
            not larger than all existing versions, or a server cannot load a model from a path like `folder`. Nothing
            is written.
        OSError: the folder cannot be written. It then contains no half-written version.

    Example:
        >>> import tempfile
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"])
        >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        >>> backbone = BertBackbone.from_config(BertConfig(vocab_size=7, **sizes))
        >>> text_to_inputs = TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=16)
        >>> save(backbone, tempfile.mkdtemp(), text_to_inputs, warm_up=None).name
        '1'
    """
    check_servable_path(folder)
    with next_version_folder(folder, version) as final:
        write(model, final, text_to_inputs, labels, **options)
    return final


def write(
    model: Any,
    folder: str | os.PathLike[str],
    text_to_inputs: TextToInputs,
    labels: Iterable[str] | None = None,
    *,
    precision: str | None = None,
    sample_texts: Sequence[str] = (),
    min_serving_version: str | None = None,
    model_card: Mapping[str, Any] | None = None,
    warm_up: WarmUp | None = WARM_UP,
    answer_search: AnswerSearch | None = None,
    text_feature: str | None = None,
    pair_feature: str | None = None,
) -> None:
    """Write the same SavedModel as `save`, without a version: `folder` itself is the SavedModel.

    For callers that number versions themselves, e.g. TFX's Pusher. An existing folder is replaced as a whole.

    Args:
        model: see `save`.
        folder: the folder to write.
        text_to_inputs: see `save`.
        labels: see `save`.
        precision: "float32", "bfloat16", "int8" or "auto", which is bfloat16 on machines where that is faster, and
            otherwise float32. By default, that of the model. See `kerasbert.models.in_precision`.
        sample_texts: typical texts, on which answers in a lower precision are compared with float32. By default,
            random words of the vocabulary.
        min_serving_version: the oldest TF Serving version that must be able to serve the model, e.g. "2.12".
        model_card: what the model itself does not know, for its model card: `data`, `metrics`, `limits` and more, as
            JSON values.
        warm_up: the requests that a server runs while it loads the model, or None for no warm-up file.
        answer_search: how a `BertSpanPredictor` searches for answers.
        text_feature: the tf.Example feature that contains the text. By default "text" ("question" for a
            `BertSpanPredictor`).
        pair_feature: the tf.Example feature that contains the second text. By default "text_pair" ("context" for a
            `BertSpanPredictor`, "choices" for a `BertMultipleChoice`).

    Raises:
        ValueError: as for `save`; or `precision` changes the answers by more than 10%, `min_serving_version` lacks an
            op of the model, `model_card` is not JSON, or there are too many warm-up requests.
        OSError: the folder cannot be written. It is unchanged.

    Example:
        >>> write(loaded.model, "exported", loaded.text_to_inputs, loaded.labels)  # doctest: +SKIP
        PosixPath('exported/1')
    """
    check_servable_path(folder)
    if min_serving_version is not None:
        parsed_version(min_serving_version)
    facts = model_card or {}
    check_facts(facts)
    features = {"text_feature": text_feature, "pair_feature": pair_feature}
    served = served_model(model, text_to_inputs, labels, answer_search, precision, sample_texts, **features)
    with write_folder_aside(folder) as aside:
        signatures = served.signatures()
        _write_saved_model(served, signatures, text_to_inputs, aside)
        finish_saved_model(aside)
        if min_serving_version is not None:
            check_serving_version(aside, min_serving_version)
        write_model_card(served, facts, aside)
        if warm_up is not None:
            write_warm_up(served, signatures, warm_up, aside)
        check_loads(served, signatures, aside)


def _write_saved_model(
    served: ServedModel, signatures: Mapping[str, Signature], text_to_inputs: TextToInputs, folder: Path
) -> None:
    """Write the SavedModel into an empty folder."""
    root = tf.Module(name="served_model")
    # The variables alone, because the Keras model would bring its optimizer along.
    as_integers = {id(variable) for variable, _ in served.int8_weights}
    root.weights = [weight.value for weight in served.model.weights if id(weight) not in as_integers]
    root.int8_weights = [[weight, *weight.stored] for _, weight in served.int8_weights]
    root.text_to_inputs = served.text_inputs.text_to_inputs
    with tempfile.TemporaryDirectory() as temporary:
        root.assets = [tf.saved_model.Asset(str(path)) for path in _assets(served, text_to_inputs, Path(temporary))]
        options = tf.saved_model.SaveOptions(namespace_whitelist=["TFText"], experimental_custom_gradients=False)
        tf.saved_model.save(root, str(folder), signatures=dict(signatures), options=options)


def _assets(served: ServedModel, text_to_inputs: TextToInputs, folder: Path) -> list[Path]:
    """Write the files that tell people and programs what the model is."""
    text_to_inputs.save(folder)
    served.backbone.bert_config.to_json(folder / "config.json")
    if served.labels:
        text = json.dumps(served.labels, ensure_ascii=False, indent=2)
        (folder / "labels.json").write_text(text + "\n", encoding="utf-8")
    return sorted(folder.iterdir())
