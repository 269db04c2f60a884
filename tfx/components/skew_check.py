"""Compares the token ids of texts in training with those that the exported model computes for the same texts.

Both come from one preprocessing object, so all ids must be equal. If they are not, something between training and
export is broken, the model must not be served, and the run stops here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the ops of the exported tokenizer)
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Model, ModelRun, String
from tfx.utils import path_utils

from kerasbert.errors import BadInputError
from kerasbert_tfx.modules.training_sample import SAMPLE_FILE

_ROWS_AT_ONCE = 256


@component
def SkewCheck(  # noqa: N802 (TFX components are named like classes)
    model: InputArtifact[Model], model_run: InputArtifact[ModelRun], report: OutputArtifact[String]
) -> None:
    """Passes, or raises an error with the first text whose ids differ.

    Args:
        model: The exported candidate.
        model_run: The Trainer's run, with a sample of texts and their ids in training.
        report: The output with the numbers of compared texts and ids, as JSON.
    """
    with fileio.open(f"{model_run.uri}/{SAMPLE_FILE}", "rb") as lines:
        rows = [json.loads(line) for line in lines]
    exported = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    report.write(json.dumps(compare(rows, exported.signatures["tokenize"])))


def compare(rows: Sequence[Mapping[str, Any]], tokenize: Any) -> dict[str, int]:
    """Compares ids and returns the numbers of compared texts and ids.

    Args:
        rows: The `text` and the `token_ids` in training of each row.
        tokenize: The exported signature.

    Raises:
        BadInputError: If there are no rows, or if the ids of a text differ. The message names the text and the first
            position that differs.
    """
    if not rows:
        raise BadInputError(
            "The Trainer must store a sample of its inputs. Received: an empty sample. Train again with `--no-cache`."
        )
    ids = 0
    for row, exported in zip(rows, _exported_ids([row["text"] for row in rows], tokenize), strict=True):
        trained = row["token_ids"]
        if trained != exported:
            position = next(
                (index for index, pair in enumerate(zip(trained, exported, strict=False)) if pair[0] != pair[1]),
                min(len(trained), len(exported)),
            )
            raise BadInputError(
                "The exported model must compute the same token ids as training. Received: for "
                f"{row['text'][:80]!r}, from position {position}, {trained[position : position + 5]} in training "
                f"and {exported[position : position + 5]} in the model. Train and export with the same preprocessing."
            )
        ids += len(trained)
    return {"texts": len(rows), "token_ids": ids}


def _exported_ids(texts: Sequence[str], tokenize: Any) -> Iterator[list[int]]:
    """Yields the ids of each text, without padding."""
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        answer = tokenize(text=tf.constant(texts[start : start + _ROWS_AT_ONCE]))
        yield from tf.ragged.boolean_mask(answer["token_ids"], answer["padding_mask"] > 0).to_list()
