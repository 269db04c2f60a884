"""Judges a pretrained model by its held-out metrics, against thresholds and against the model that is pushed now.

TFX's own Evaluator feeds one signature and compares one label; masked LM and next-sentence prediction have metrics of
their own. The blessing is TFX's, so that its Pusher heeds it. The baseline is read from the folder of pushed models, to
which only blessed ones come, and not through a Resolver: an unchanged run then stays in the cache.
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
from kerasbert.recipes.pretraining import Records, evaluate_on_records
from kerasbert.settings import PretrainingSettings
from kerasbert_tfx.components.component_metrics import write_metrics
from kerasbert_tfx.modules.pretraining import recipe_settings, records_of
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
    """Blesses the model, or says why not.

    Args:
        model: what the Trainer made.
        instances: the held-out pairs.
        evaluation: metrics of the model and of the baseline, and the reasons.
        blessing: TFX's.
        settings: JSON: fields of `PretrainingSettings`.
        thresholds: JSON: the arguments of `objections`.
        push_folder: holds the models that were pushed.
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
    """What speaks against a model.

    Args:
        metrics: of the model, on held-out pairs.
        baseline: of the model pushed now, on the same pairs; None where there is none to compare with.
        min_masked_lm_accuracy, min_next_sentence_accuracy: the least that they must be.
        max_masked_lm_loss: the most that it may be; None for no bound.
        max_loss_increase: by so much may the loss be above the baseline's.

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


def newest_version(folder: str) -> str | None:
    """The path of the largest number under a folder, on any file system; None where there is none."""
    if not tf.io.gfile.isdir(folder):
        return None
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    versions = [int(name) for name in names if name.isascii() and name.isdigit()]
    return os.path.join(folder, str(max(versions))) if versions else None


def _metrics(model: Path, settings: PretrainingSettings, records: Records) -> dict[str, float]:
    """A model's metrics on the held-out pairs."""
    loaded = checkpoints.load(model)
    if not isinstance(loaded.model, BertPretrainer) or loaded.text_to_inputs is None:
        raise BadInputError(
            f"A model to evaluate must have both pretraining heads and its vocabulary. Received: '{model}' without. "
            "Remove it from the folder of pushed models."
        )
    return evaluate_on_records(loaded.model, loaded.text_to_inputs, settings, records)


def _compared(
    baseline: Path, candidate: Path, settings: PretrainingSettings, records: Records
) -> tuple[dict[str, float] | None, str]:
    """The baseline's metrics on the same pairs, unless the pairs' ids mean something else to it."""
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
    """Notes the judgement in the artifact, as TFX's Evaluator does."""
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
