"""Makes the preprocessing object of a run: a tokenizer whose vocabulary is learned from the documents or given.

All later components read it from this artifact, so that training and serving tokenize in the same way.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples

from kerasbert.checkpoints import load_backbone
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer, learn_vocabulary, merged_words
from kerasbert.recipes.start import check_own_tokenizer
from kerasbert.recipes.vocabulary_check import CHECK_CHARACTERS, check_unknown_words
from kerasbert.settings import TrainingSettings
from kerasbert_tfx.modules.model_folder import find_model
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.document_records import document_files, read_counts, read_document_texts
from kerasbert_tfx.records.remote_folders import copied_to_local, written_locally

_REMEDY = "Use a vocabulary for the language and script of the text, remove `vocabulary` to learn one"


@component
def PreprocessingMaker(  # noqa: N802 (TFX components are named like classes)
    examples: InputArtifact[Examples],
    preprocessing: OutputArtifact[File],
    options: Parameter[str],
) -> None:
    """Learns a vocabulary, or takes a given one, and checks that it covers the text.

    Args:
        examples: Documents (see document_records.py).
        preprocessing: The output, written by `TextToInputs.save`.
        options: A JSON object with `vocabulary` and `model` (addresses or null), `size`, `min_count`, `characters`,
            `lower_case`, `strip_accents`, `sequence_length` and `max_unknown_share`.
    """
    values = json.loads(options)
    with copied_to_local(values["vocabulary"]) as vocabulary, find_model(values["model"]) as model:
        to_inputs = _preprocessing(examples.uri, values, vocabulary, model)
    unknown = check_unknown_words(
        to_inputs.tokenizer,
        _lines(examples.uri, CHECK_CHARACTERS),
        values["max_unknown_share"],
        values["vocabulary"] or values["model"],
        _REMEDY,
    )
    with written_locally(preprocessing.uri) as folder:
        to_inputs.replace(sequence_length=values["sequence_length"]).save(folder)
    metrics = {"word_pieces": len(to_inputs.vocabulary), "unknown_words_share": unknown}
    warning = merged_words(_lines(examples.uri, CHECK_CHARACTERS), to_inputs.tokenizer).warning()
    write_metrics(preprocessing.uri, {**metrics, **({"note": warning} if warning else {})})


def _preprocessing(uri: str, values: dict[str, Any], vocabulary: Path | None, model: str | None) -> TextToInputs:
    """Returns the preprocessing of a model, of a vocabulary file, or of a vocabulary learned from the documents."""
    if model is not None:
        loaded = load_backbone(model).text_to_inputs
        if loaded is None:
            raise BadInputError(
                f"The model to start from must include its vocabulary. Received: start_from='{values['model']}', which "
                "has none. Copy its vocab.txt into that folder."
            )
        given = {"lower_case": values["lower_case"], "strip_accents": values["strip_accents"]}
        settings = TrainingSettings(vocabulary=None if vocabulary is None else str(vocabulary), **given)
        check_own_tokenizer(loaded.tokenizer, settings, values["model"])
        return loaded
    rules = {"lower_case": values["lower_case"], "strip_accents": values["strip_accents"]}
    if vocabulary is not None:
        return TextToInputs(WordPieceTokenizer(Vocabulary.from_file(vocabulary), **rules))
    learned = learn_vocabulary(
        _lines(uri, values["characters"]), values["size"], **rules, min_count=values["min_count"]
    )
    return TextToInputs(WordPieceTokenizer(learned, **rules))


def _lines(uri: str, characters: int) -> Iterator[str]:
    """Yields lines of about `characters` of training text, from documents chosen by a hash (not by their order)."""
    counts, _ = read_counts(uri)
    share = min(1.0, characters / max(1, counts["train"].characters))
    for path in document_files(uri, "train"):
        for text in read_document_texts(path):
            digest = hashlib.sha256(b"vocabulary/" + text).digest()
            if int.from_bytes(digest[:6], "big") < share * (1 << 48):
                yield from text.decode("utf-8").split("\n")
