"""What TFX's Trainer calls for pretraining: instances and settings in, a model folder and its run out.

Training itself is `kerasbert.recipes.pretrain`, as for `kerasbert pretrain`. The Trainer's `custom_config` holds
`settings` (fields of `PretrainingSettings`, without paths), `is_masked` (whether training instances are masked
already) and `starts_from_model`.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.pretraining import Records, pretrain
from kerasbert.run_folder import RECORDS
from kerasbert.settings import PretrainingSettings
from kerasbert_tfx.components.component_metrics import write_metrics
from kerasbert_tfx.components.pretraining_instances import PREPROCESSING_FOLDER
from kerasbert_tfx.modules.model_folder import find_model, local_folder
from kerasbert_tfx.records.remote_folders import copied_to_local


def run_fn(fn_args: FnArgs) -> None:
    """Pretrains, and keeps the model folder and the run. Goes on where a killed run with the same inputs stopped.

    Args:
        fn_args: TFX's, with `custom_config` as above.

    Raises:
        BadInputError: the instances or the model to start from cannot be used.
        TrainingStoppedError: the loss is no number.
    """
    config = fn_args.custom_config
    if config["starts_from_model"] and not fn_args.base_model:
        raise BadInputError(
            "The model to go on from must be there. Received: none. Check `base_model`, or leave it out."
        )
    uri = fn_args.train_files[0].partition("/Split-train")[0]
    base_model = fn_args.base_model if config["starts_from_model"] else None
    with (
        find_model(base_model) as start,
        copied_to_local(uri) as instances,
        local_folder(fn_args.model_run_dir, config, [uri, fn_args.base_model], start) as work,
    ):
        settings = recipe_settings(config["settings"], instances, output=str(work), start_from=start)
        trained = pretrain(settings, records=records_of(instances, config["is_masked"]))
        io_utils.copy_dir(str(trained.folder.model), fn_args.serving_model_dir)
        _keep(work, fn_args.model_run_dir)
        write_metrics(fn_args.model_run_dir, trained.metrics)


def recipe_settings(values: Mapping[str, Any], instances: Path, **paths: Any) -> PretrainingSettings:
    """The recipe's settings, with the vocabulary and the tokenizer's rules that the instances were made with."""
    folder = instances / PREPROCESSING_FOLDER
    tokenizer = TextToInputs.load(folder).tokenizer
    rules = {"lower_case": tokenizer.lower_case, "strip_accents": tokenizer.strip_accents}
    return PretrainingSettings(**{**values, **rules, "vocabulary": str(folder / "vocab.txt"), **paths})


def records_of(instances: Path, is_masked: bool = False) -> Records:
    """The instances as the recipe takes them."""
    return Records(instances / "Split-train", instances / "Split-eval", is_masked)


def _keep(work: Path, folder: str) -> None:
    """Copies what is worth keeping of a finished run, and removes the rest."""
    for name in RECORDS:
        source = work / name
        if source.is_dir():
            io_utils.copy_dir(str(source), f"{folder}/{name}")
        elif source.exists():
            io_utils.copy_file(str(source), f"{folder}/{name}", overwrite=True)
    shutil.rmtree(work)
