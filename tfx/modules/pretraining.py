"""The function that TFX's Trainer calls for pretraining. It writes a model folder and its run.

The training itself is `kerasbert.recipes.pretrain`, as for `kerasbert pretrain`. The Trainer's `custom_config` contains
`settings` (fields of `PretrainingSettings`, without paths), `is_masked` (whether training instances are masked
already), `starts_from_model` and `unfinished` (see training_folder.py).
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.pretraining import pretrain
from kerasbert.recipes.pretraining_instances import Records
from kerasbert.run_folder import RECORDS
from kerasbert.settings import PretrainingSettings
from kerasbert_tfx.modules.model_folder import find_model, local_config
from kerasbert_tfx.modules.training_folder import keep_run, training_folder
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.instance_making import PREPROCESSING_FOLDER
from kerasbert_tfx.records.remote_folders import copied_to_local


def run_fn(fn_args: FnArgs) -> None:
    """Pretrains a model and stores the model folder and the run. Resumes a killed run with the same inputs.

    Args:
        fn_args: TFX's arguments, with `custom_config` as above.

    Raises:
        BadInputError: If the instances or the model to start from cannot be used.
        TrainingStoppedError: If the loss is not a finite number.
    """
    config = fn_args.custom_config
    if config["starts_from_model"] and not fn_args.base_model:
        raise BadInputError(
            "The model to start from must exist. Received: no model. Check `start_from`, or remove that setting."
        )
    uri = fn_args.train_files[0].rpartition("/Split-train")[0]
    base_model = fn_args.base_model if config["starts_from_model"] else None
    with contextlib.ExitStack() as stack:
        instances = stack.enter_context(copied_to_local(uri))
        paths = {
            "start_from": stack.enter_context(find_model(base_model)),
            "model": stack.enter_context(local_config(config["settings"]["model"])),
            "vocabulary": str(instances / PREPROCESSING_FOLDER / "vocab.txt"),
        }
        work = stack.enter_context(training_folder(config, [uri, fn_args.base_model], paths))
        settings = recipe_settings(config["settings"], instances, **{**paths, "output": str(work)})
        trained = pretrain(settings, records=records_of(instances, config["is_masked"]))
        io_utils.copy_dir(str(trained.folder.model), fn_args.serving_model_dir)
        keep_run(work, fn_args.model_run_dir, RECORDS)
        write_metrics(fn_args.model_run_dir, trained.metrics)


def recipe_settings(values: Mapping[str, Any], instances: Path, **paths: Any) -> PretrainingSettings:
    """Returns the recipe's settings, with the vocabulary and the tokenizer options that the instances were made with.

    Args:
        values: The settings of the pipeline.
        instances: The local folder of the instances.
        **paths: Settings that are paths on this machine.
    """
    folder = instances / PREPROCESSING_FOLDER
    tokenizer = TextToInputs.load(folder).tokenizer
    rules = {"lower_case": tokenizer.lower_case, "strip_accents": tokenizer.strip_accents}
    return PretrainingSettings(**{**values, **rules, "vocabulary": str(folder / "vocab.txt"), **paths})


def records_of(instances: Path, is_masked: bool = False) -> Records:
    """Returns the instances in the form that the recipe takes."""
    return Records(instances / "Split-train", instances / "Split-eval", is_masked)
