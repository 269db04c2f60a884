"""The functions that TFX's Trainer and Tuner call for fine-tuning. They write an exported model and its run.

The training itself is `kerasbert.recipes.fine_tune`, as for `kerasbert fine-tune`. The Trainer's `custom_config`
contains `columns` (the fields of `Columns`), `settings` (those of `FineTuningSettings` without the paths of data),
`serving_precision`, `starts_from_model`, `unfinished` (see training_folder.py) and, for the Tuner, `trials`. On Vertex
AI, trials are separate jobs: see `kerasbert_tfx.vertex.tuning_trial`.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult
from tfx.utils import io_utils

from kerasbert import export
from kerasbert.data import ReadReport
from kerasbert.errors import BadInputError
from kerasbert.recipes.fine_tuning import FineTuned, fine_tune, monitored_metric
from kerasbert.recipes.fine_tuning_rows import FineTuningRows, check_vocabulary
from kerasbert.recipes.start import make_backbone
from kerasbert.run_folder import MODEL, RECORDS
from kerasbert.settings import FineTuningSettings
from kerasbert_tfx.modules.model_folder import find_model, local_config, local_file
from kerasbert_tfx.modules.training_folder import keep_run, training_folder
from kerasbert_tfx.modules.training_sample import SAMPLE_FILE, write_training_sample
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.labelled_records import Columns, read_rows

_TEST_SPLIT = "/Split-test/"


def run_fn(fn_args: FnArgs) -> None:
    """Fine-tunes, exports the SavedModel and stores the run. Resumes a killed run with the same inputs.

    Args:
        fn_args: TFX's arguments, with `custom_config` as above.

    Raises:
        BadInputError: If the rows or the model to start from cannot be used.
    """
    config = fn_args.custom_config
    columns = Columns(**config["columns"])
    rows = _rows(fn_args, columns)
    hyperparameters = _best_values(fn_args.hyperparameters)
    inputs = [fn_args.train_files, fn_args.eval_files, fn_args.base_model, hyperparameters]
    with _local_inputs(fn_args) as paths, training_folder(config, inputs, paths) as work:
        settings = _settings(config, hyperparameters, **{**paths, "output": str(work)})
        report = ReadReport()
        tuned = fine_tune(settings, report, rows)
        options = {"precision": config["serving_precision"], "sample_texts": rows.validation.texts}
        _export(tuned, columns, fn_args.serving_model_dir, **options)
        write_training_sample(work, [rows.train, rows.validation], tuned.text_to_inputs)
        keep_run(work, fn_args.model_run_dir, [*RECORDS, MODEL, SAMPLE_FILE])
        note = report.warning()
        write_metrics(fn_args.model_run_dir, {**_numbers(tuned.metrics), **({"note": note} if note else {})})


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Searches for the best learning rate, batch size and dropout by the monitored validation metric."""
    return TunerFnResult(tuner=FineTuningTuner(fn_args, trial_rows(fn_args)), fit_kwargs={})


def trial_rows(fn_args: FnArgs) -> FineTuningRows:
    """Returns the rows that trials train on and are compared by.

    Raises:
        BadInputError: If the vocabulary does not fit the rows.
    """
    config = fn_args.custom_config
    rows = _rows(fn_args, Columns(**config["columns"]))
    # Checked only once, because all trials have the same vocabulary.
    with _local_inputs(fn_args) as paths:
        settings = _settings(config, {"precision": "float32"}, **{**paths, "output": ""})
        check_vocabulary(settings, make_backbone(settings, settings.sequence_length)[1], rows.train)
    return FineTuningRows(rows.train, rows.validation)


@dataclasses.dataclass(frozen=True)
class Search:
    """What a search looks for, whoever runs it.

    Attributes:
        space: The hyperparameters.
        metric: The metric that trials are compared by.
        is_error: Whether a lower metric is better.
        seed: A seed for the choice of values.
    """

    space: keras_tuner.HyperParameters
    metric: str
    is_error: bool
    seed: int


def search_of(config: Mapping[str, Any]) -> Search:
    """Returns the search that a Tuner's `custom_config` describes."""
    settings = _settings(config, {}, output="", start_from=None)
    space = keras_tuner.HyperParameters()
    rate = settings.learning_rate
    space.Float("learning_rate", rate / 5, rate * 5, sampling="log", default=rate)
    sizes = sorted({max(1, settings.batch_size // 2), settings.batch_size, settings.batch_size * 2})
    space.Choice("batch_size", sizes, default=settings.batch_size)
    space.Choice("dropout", [0.0, 0.1, 0.2], default=0.1)
    metric = monitored_metric(settings)
    return Search(space, metric, metric == "loss", settings.seed)


def run_trial(fn_args: FnArgs, rows: FineTuningRows, values: Mapping[str, Any]) -> float:
    """Fine-tunes with the values of one trial, and returns the metric that trials are compared by."""
    with tempfile.TemporaryDirectory() as folder, _local_inputs(fn_args) as paths:
        settings = _settings(fn_args.custom_config, values, **{**paths, "output": folder})
        metrics = fine_tune(settings, rows=rows).metrics
    keras.backend.clear_session()
    return float(metrics[monitored_metric(settings)])


class FineTuningTuner(keras_tuner.RandomSearch):
    """Tries random values, with a complete fine-tuning for each of them.

    Args:
        fn_args: TFX's arguments, with `custom_config` as above.
        rows: The rows. Trials are compared by their metric on the validation rows.
    """

    def __init__(self, fn_args: FnArgs, rows: FineTuningRows) -> None:
        self._fn_args = fn_args
        self._rows = rows
        search = search_of(fn_args.custom_config)
        self._metric = search.metric
        super().__init__(
            hypermodel=None,
            objective=keras_tuner.Objective(search.metric, "min" if search.is_error else "max"),
            max_trials=fn_args.custom_config["trials"],
            seed=search.seed,
            hyperparameters=search.space,
            tune_new_entries=False,
            directory=fn_args.working_dir,
            project_name="fine_tuning",
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Fine-tunes with the values of one trial."""
        return {self._metric: run_trial(self._fn_args, self._rows, trial.hyperparameters.values)}


def _rows(fn_args: FnArgs, columns: Columns) -> FineTuningRows:
    """Reads the rows of the splits that TFX passes: "train", "eval" and, if there is one, "test"."""
    test = [pattern for pattern in fn_args.eval_files if _TEST_SPLIT in pattern]
    validation = [pattern for pattern in fn_args.eval_files if _TEST_SPLIT not in pattern]
    return FineTuningRows(
        read_rows(fn_args.train_files, columns, "train"),
        read_rows(validation, columns, "eval"),
        read_rows(test, columns, "test") if test else None,
    )


def _settings(config: Mapping[str, Any], values: Mapping[str, Any], **paths: Any) -> FineTuningSettings:
    """Returns the recipe's settings: those of the pipeline, overridden by the Tuner's best values and local paths."""
    columns = config["columns"]
    task = {"text_column": columns["text"], "label_column": columns["label"], "task": columns["task"]}
    return FineTuningSettings(
        **{**task, "pair_column": columns.get("pair"), **config["settings"], **values, **paths},
    )


def _best_values(hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the Tuner's best values, if there was a Tuner."""
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


@contextlib.contextmanager
def _local_inputs(fn_args: FnArgs) -> Iterator[dict[str, str | None]]:
    """Yields the settings that are files or folders, with local paths: model to start from, or config and vocabulary.

    Raises:
        BadInputError: If one of them does not exist.
    """
    config = fn_args.custom_config
    values = config["settings"]
    if config["starts_from_model"]:
        if not fn_args.base_model:
            raise BadInputError(
                "The model to start from must exist. Received: no model. Check `start_from`, or remove it and set "
                "`vocabulary`, to start from random weights."
            )
        with contextlib.ExitStack() as stack:
            start = stack.enter_context(find_model(fn_args.base_model))
            given = values["vocabulary"]
            vocabulary = stack.enter_context(local_file("vocabulary", given)) if given else None
            model = stack.enter_context(local_config(values["model"]))
            yield {"start_from": start, "vocabulary": vocabulary, "model": model}
        return
    with local_file("vocabulary", values["vocabulary"]) as vocabulary, local_config(values["model"]) as model:
        yield {"start_from": None, "vocabulary": vocabulary, "model": model}


def _export(tuned: FineTuned, columns: Columns, folder: str, **options: Any) -> None:
    """Writes the SavedModel to any file system. Its tf.Example signature reads the user's own columns."""
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
            **options,
        )
        io_utils.copy_dir(str(aside), folder)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the metrics that are single numbers."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}
