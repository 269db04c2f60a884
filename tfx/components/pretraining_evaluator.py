"""Evaluates a pretrained model on held-out pairs, and blesses it if it meets thresholds and is not worse than before.

TFX's own Evaluator calls one signature and compares one label; masked LM and next-sentence prediction have their own
metrics. The blessing has TFX's type, so that TFX's Pusher respects it. The baseline is read from the folder of pushed
models, which contains blessed models only. A Resolver would make an unchanged run miss the cache.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation
from tfx.utils import path_utils

from kerasbert import checkpoints
from kerasbert.errors import BadInputError
from kerasbert.models import BertPretrainer
from kerasbert.recipes.pretraining import evaluate_on_records
from kerasbert.recipes.pretraining_instances import Records
from kerasbert.settings import PretrainingSettings
from kerasbert_tfx.modules.pretraining import recipe_settings, records_of
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.pushed_versions import newest_version
from kerasbert_tfx.records.remote_folders import copied_to_local


@component
def PretrainingEvaluator(  # noqa: N802 (TFX components are named like classes)
    model: InputArtifact[Model],
    instances: InputArtifact[Examples],
    evaluation: OutputArtifact[ModelEvaluation],
    blessing: OutputArtifact[ModelBlessing],
    settings: Parameter[str],
    thresholds: Parameter[str],
    push_folder: Parameter[str],
) -> None:
    """Blesses the model, or reports why not.

    Args:
        model: The Trainer's model.
        instances: The held-out pairs.
        evaluation: The output with the metrics of the model and of the baseline, and the verdict.
        blessing: The output that TFX's Pusher reads.
        settings: Fields of `PretrainingSettings`, as a JSON object.
        thresholds: The arguments of `objections`, as a JSON object.
        push_folder: The folder with one numbered folder per pushed version.
    """
    baseline_uri = newest_version(push_folder)
    with (
        copied_to_local(instances.uri) as local_instances,
        copied_to_local(path_utils.serving_model_path(model.uri)) as candidate,
        copied_to_local(baseline_uri) as baseline,
    ):
        recipe = recipe_settings(json.loads(settings), local_instances, output="")
        records = records_of(local_instances)
        metrics = _metrics(candidate, recipe, records)
        before, note = (
            (None, "no earlier model was pushed")
            if baseline is None
            else _compared(baseline, candidate, recipe, records)
        )
    found = objections(metrics, before, **json.loads(thresholds))
    _write(evaluation, metrics, before, found, note)
    _bless(blessing, model, baseline_uri, not found)


def objections(
    metrics: Mapping[str, float],
    baseline: Mapping[str, float] | None,
    min_masked_lm_accuracy: float = 0.0,
    min_next_sentence_accuracy: float = 0.0,
    max_masked_lm_loss: float | None = None,
    max_loss_increase: float = 0.0,
) -> list[str]:
    """Returns the reasons not to bless a model.

    Args:
        metrics: The model's metrics on the held-out pairs.
        baseline: The pushed model's metrics on the same pairs, or None if there is no model to compare with.
        min_masked_lm_accuracy: Lower bound of the masked-LM accuracy.
        min_next_sentence_accuracy: Lower bound of the next-sentence accuracy.
        max_masked_lm_loss: Upper bound of the masked-LM loss. None sets no bound.
        max_loss_increase: The loss may be above the baseline's by at most this much.

    Example:
        >>> objections({"masked_lm_accuracy": 0.1, "next_sentence_accuracy": 0.9, "loss": 3.0}, {"loss": 2.5})
        ['loss 3.0000 is above 2.5000, which the pushed model allows']
    """
    found = []
    for name, least in (
        ("masked_lm_accuracy", min_masked_lm_accuracy),
        ("next_sentence_accuracy", min_next_sentence_accuracy),
    ):
        if not metrics[name] >= least:
            found.append(f"{name} {metrics[name]:.4f} is below {least:.4f}")
    if max_masked_lm_loss is not None and not metrics["masked_lm_loss"] <= max_masked_lm_loss:
        found.append(f"masked_lm_loss {metrics['masked_lm_loss']:.4f} is above {max_masked_lm_loss:.4f}")
    if baseline is not None and not metrics["loss"] <= baseline["loss"] + max_loss_increase:
        allowed = baseline["loss"] + max_loss_increase
        found.append(f"loss {metrics['loss']:.4f} is above {allowed:.4f}, which the pushed model allows")
    return found


def _metrics(model: Path, settings: PretrainingSettings, records: Records) -> dict[str, float]:
    """Returns a model's metrics on the held-out pairs."""
    loaded = checkpoints.load(model)
    if not isinstance(loaded.model, BertPretrainer) or loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model to evaluate must have both pretraining heads and a vocabulary. Received: '{model}', which lacks "
            "one of them. Remove that version from `push_folder`, or choose another `push_folder`."
        )
    return evaluate_on_records(loaded.model, loaded.text_to_inputs, settings, records)


def _compared(
    baseline: Path, candidate: Path, settings: PretrainingSettings, records: Records
) -> tuple[dict[str, float] | None, str]:
    """Returns the baseline's metrics on the same pairs, unless it has another vocabulary, and a note."""
    name = f"version {baseline.name}"
    ours, theirs = ((folder / "vocab.txt").read_bytes() for folder in (candidate, baseline))
    if ours != theirs:
        return None, f"not compared with {name}, which has another vocabulary"
    return _metrics(baseline, settings, records), f"compared with {name}"


def _write(
    evaluation: ModelEvaluation,
    metrics: Mapping[str, float],
    baseline: Mapping[str, float] | None,
    found: list[str],
    note: str,
) -> None:
    before = {
        f"baseline_{name}": value for name, value in (baseline or {}).items() if name.endswith(("loss", "accuracy"))
    }
    verdict = f"not blessed: {'; '.join(found)}" if found else "blessed"
    write_metrics(evaluation.uri, {**metrics, **before, "verdict": f"{verdict} ({note})"})


def _bless(blessing: ModelBlessing, model: Model, baseline_uri: str | None, is_blessed: bool) -> None:
    """Stores the verdict in the artifact, as TFX's Evaluator does."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline_uri:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline_uri)
    value = constants.BLESSED_VALUE if is_blessed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    name = constants.BLESSED_FILE_NAME if is_blessed else constants.NOT_BLESSED_FILE_NAME
    tf.io.gfile.makedirs(blessing.uri)
    with tf.io.gfile.GFile(os.path.join(blessing.uri, name), "w") as file:
        file.write("")
