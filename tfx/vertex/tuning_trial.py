"""One trial of a search on Vertex AI: `python -m kerasbert_tfx.vertex.tuning_trial --request=FILE --NAME=VALUE...`.

The Tuner's step writes the request, and Vertex AI appends a value for each hyperparameter. The trial fine-tunes as a
trial of keras-tuner does, and reports the metric where Vertex AI's agent in the container reads it: a file with one
JSON object per report. `cloudml-hypertune` writes the same file, but its only release candidate is of 2019 and it is
not maintained.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

# What trials need of TFX's arguments.
_PASSED = ("train_files", "eval_files", "base_model", "custom_config")
_METRIC_FILE = "/tmp/hypertune/output.metrics"


def write_request(path: str, fn_args: FnArgs) -> None:
    """Writes the arguments of TFX that trials need.

    Args:
        path: The file to write, on any file system.
        fn_args: TFX's arguments in the Tuner's step.
    """
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps({name: getattr(fn_args, name) for name in _PASSED}))


def read_request(path: str) -> FnArgs:
    """Reads what `write_request` wrote."""
    with tf.io.gfile.GFile(path) as file:
        return FnArgs(**json.loads(file.read()))


def report_metric(name: str, value: float) -> None:
    """Reports a trial's metric to Vertex AI.

    Args:
        name: The id of the metric in the job.
        value: Its value.
    """
    path = os.environ.get("CLOUD_ML_HP_METRIC_FILE", _METRIC_FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    report = {
        "timestamp": time.time(),
        "trial": os.environ.get("CLOUD_ML_TRIAL_ID", "0"),
        name: str(float(value)),
        "global_step": "0",
        "checkpoint_path": "",
    }
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(report, sort_keys=True) + "\n")


def run(arguments: Sequence[str]) -> float:
    """Runs a trial and reports its metric.

    Args:
        arguments: The arguments of the command line.

    Returns:
        The metric.

    Raises:
        BadInputError: If the rows or the model to start from cannot be used.
    """
    request, values = _parsed(arguments)
    # The vocabulary check, the rows and the training are those of the Tuner.
    from kerasbert_tfx.modules.fine_tuning import run_trial, search_of, trial_rows
    from kerasbert_tfx.vertex.tuning_job import typed_values

    fn_args = read_request(request)
    search = search_of(fn_args.custom_config)
    value = run_trial(fn_args, trial_rows(fn_args), typed_values(search.space, values))
    report_metric(search.metric, value)
    return value


def _parsed(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Returns the request's address, and hyperparameter -> value as text."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--request", required=True)
    known, rest = parser.parse_known_args(arguments)
    values = {}
    for argument in rest:
        name, sign, value = argument.removeprefix("--").partition("=")
        if not (sign and argument.startswith("--")):
            parser.error(f"a hyperparameter must be --NAME=VALUE, not {argument!r}")
        values[name] = value
    return known.request, values


if __name__ == "__main__":
    run(sys.argv[1:])
