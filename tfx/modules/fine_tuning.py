"""What TFX's Trainer and Tuner call for fine-tuning: rows and settings in, an exported model and its run out.

Training itself is `kerasbert.recipes.fine_tune`, as for `kerasbert fine-tune`. The Trainer's `custom_config` holds
`columns` (the fields of `Columns`), `settings` (those of `FineTuningSettings` but for paths of data),
`starts_from_model` and, for the Tuner, `trials`.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult
from tfx.utils import io_utils

from kerasbert import export
from kerasbert.errors import BadInputError
from kerasbert.recipes.fine_tuning import FineTuned, FineTuningRows, check_vocabulary, fine_tune, monitored_metric
from kerasbert.recipes.start import make_backbone
from kerasbert.run_folder import MODEL, RECORDS
from kerasbert.settings import FineTuningSettings
from kerasbert_tfx.components.component_metrics import write_metrics
from kerasbert_tfx.modules.model_folder import find_model, local_folder
from kerasbert_tfx.modules.training_sample import write_training_sample
from kerasbert_tfx.records.labelled_records import Columns, read_rows

_TEST_SPLIT = "/Split-test/"


def run_fn(fn_args: FnArgs) -> None:
    """Fine-tunes, exports the SavedModel, and keeps the run. Goes on where a killed run with the same inputs stopped.

    Args:
        fn_args: TFX's, with `custom_config` as above.

    Raises:
        BadInputError: the rows or the model to start from cannot be used.
    """
    config = fn_args.custom_config
    columns = Columns(**config["columns"])
    rows = _rows(fn_args, columns)
    hyperparameters = _best_values(fn_args.hyperparameters)
    inputs = [fn_args.train_files, fn_args.eval_files, fn_args.base_model, hyperparameters]
    with _started_from(fn_args) as start, local_folder(fn_args.model_run_dir, config, inputs, start) as work:
        settings = _settings(config, hyperparameters, output=str(work), start_from=start)
        tuned = fine_tune(settings, rows=rows)
        _export(tuned, columns, Path(fn_args.serving_model_dir))
        write_training_sample(work, [rows.train, rows.validation], tuned.text_to_inputs)
        _keep(work, fn_args.model_run_dir)
        write_metrics(fn_args.model_run_dir, _numbers(tuned.metrics))


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """The search for the best learning rate, batch size and dropout, by the validation figure."""
    config = fn_args.custom_config
    rows = _rows(fn_args, Columns(**config["columns"]))
    # Once: no trial has another vocabulary.
    with _started_from(fn_args) as start:
        settings = _settings(config, {}, output="", start_from=start)
        check_vocabulary(settings, make_backbone(settings, settings.sequence_length)[1], rows.train)
    tuner = FineTuningTuner(fn_args, FineTuningRows(rows.train, rows.validation))
    return TunerFnResult(tuner=tuner, fit_kwargs={})


class FineTuningTuner(keras_tuner.RandomSearch):
    """Tries values at random, each with a whole fine-tuning.

    Args:
        fn_args: TFX's, with `custom_config` as above.
        rows: the rows; the figure is that on their validation rows.
    """

    def __init__(self, fn_args: FnArgs, rows: FineTuningRows) -> None:
        self._fn_args = fn_args
        self._rows = rows
        settings = _settings(fn_args.custom_config, {}, output="", start_from=None)
        self._figure = monitored_metric(settings)
        space = keras_tuner.HyperParameters()
        space.Float(
            "learning_rate",
            settings.learning_rate / 5,
            settings.learning_rate * 5,
            sampling="log",
            default=settings.learning_rate,
        )
        sizes = sorted({max(1, settings.batch_size // 2), settings.batch_size, settings.batch_size * 2})
        space.Choice("batch_size", sizes, default=settings.batch_size)
        space.Choice("dropout", [0.0, 0.1, 0.2], default=0.1)
        super().__init__(
            hypermodel=None,
            objective=keras_tuner.Objective(self._figure, "min" if self._figure == "loss" else "max"),
            max_trials=fn_args.custom_config["trials"],
            seed=settings.seed,
            hyperparameters=space,
            tune_new_entries=False,
            directory=fn_args.working_dir,
            project_name="fine_tuning",
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Fine-tunes with one choice of values."""
        values = dict(trial.hyperparameters.values)
        with tempfile.TemporaryDirectory() as folder, _started_from(self._fn_args) as start:
            settings = _settings(self._fn_args.custom_config, values, output=folder, start_from=start)
            metrics = fine_tune(settings, rows=self._rows).metrics
        keras.backend.clear_session()
        return {self._figure: float(metrics[self._figure])}


def _rows(fn_args: FnArgs, columns: Columns) -> FineTuningRows:
    """The rows of the splits that TFX hands over: "train", "eval" and, where there is one, "test"."""
    test = [pattern for pattern in fn_args.eval_files if _TEST_SPLIT in pattern]
    validation = [pattern for pattern in fn_args.eval_files if _TEST_SPLIT not in pattern]
    return FineTuningRows(
        read_rows(fn_args.train_files, columns, "train"),
        read_rows(validation, columns, "eval"),
        read_rows(test, columns, "test") if test else None,
    )


def _settings(config: Mapping[str, Any], values: Mapping[str, Any], **paths: Any) -> FineTuningSettings:
    """The recipe's settings: those of the pipeline, with the Tuner's best values in their place."""
    columns = config["columns"]
    task = {"text_column": columns["text"], "label_column": columns["label"], "task": columns["task"]}
    return FineTuningSettings(
        **{**task, "pair_column": columns.get("pair"), **config["settings"], **values, **paths},
    )


def _best_values(hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the Tuner found, if there was one."""
    if not hyperparameters:
        return {}
    values: dict[str, Any] = keras_tuner.HyperParameters.from_config(hyperparameters).values
    known = {field.name for field in dataclasses.fields(FineTuningSettings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadInputError(
            f"The Tuner's values must be settings of fine-tuning. Received: {', '.join(unknown)}. Choose among "
            f"{', '.join(sorted(known))}."
        )
    return dict(values)


def _started_from(fn_args: FnArgs) -> Any:
    """The model to go on from as a local folder, or None to begin with random weights."""
    wanted = fn_args.custom_config["starts_from_model"]
    if wanted and not fn_args.base_model:
        raise BadInputError(
            "The model to start from must be there. Received: none. Check `start_from`, or leave it out and give a "
            "`vocabulary`, to begin with random weights."
        )
    return find_model(fn_args.base_model if wanted else None)


def _export(tuned: FineTuned, columns: Columns, folder: Path) -> None:
    """Writes the SavedModel, whose tf.Example signature reads the user's own columns."""
    with tempfile.TemporaryDirectory() as temporary:
        aside = Path(temporary) / "model"
        export.write(
            tuned.model,
            aside,
            tuned.text_to_inputs,
            list(tuned.labels) if tuned.labels else None,
            model_card={"metrics": _numbers(tuned.metrics)},
            text_feature=columns.text,
            pair_feature=columns.pair,
        )
        io_utils.copy_dir(str(aside), str(folder))


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that are single numbers."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def _keep(work: Path, folder: str) -> None:
    """Copies what is worth keeping of a finished run."""
    for name in (*RECORDS, MODEL, "training_sample.jsonl"):
        source = work / name
        if source.is_dir():
            io_utils.copy_dir(str(source), f"{folder}/{name}")
        elif source.exists():
            io_utils.copy_file(str(source), f"{folder}/{name}", overwrite=True)
    shutil.rmtree(work)
