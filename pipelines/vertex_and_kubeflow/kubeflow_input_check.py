"""The first step of a pipeline on Kubeflow Pipelines: fingerprints the files of the input, in every run.

The backend identifies rows, a vocabulary or a model to start from by their addresses only. With the fingerprints as
inputs of the steps that read the files, those steps run again when the files have changed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert_tfx.records.fingerprints import files_fingerprint, files_of
from kerasbert_tfx.records.input_files import find_files

# Settings that may be glob patterns, too.
_TEXT_SETTINGS = ("texts", "data", "bulk_inference")


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes one fingerprint for each input.

    Raises:
        SystemExit: A file does not exist or cannot be read.
    """
    parser = argparse.ArgumentParser(description="Fingerprints the files of a pipeline's input.")
    parser.add_argument("--executor_input", type=json.loads, required=True, help="The backend's executor input.")
    executor_input: dict[str, Any] = parser.parse_args(arguments).executor_input
    try:
        fingerprints = {
            name: input_fingerprint(name, address)
            for name, address in executor_input["inputs"]["parameterValues"].items()
        }
    except BadInputError as error:
        sys.exit(f"InputCheck: {error}")
    output_file = executor_input["outputs"]["outputFile"]
    os.makedirs(os.path.dirname(output_file), exist_ok=True)
    with open(output_file, "w", encoding="utf-8") as file:
        json.dump({"parameterValues": fingerprints}, file)


def input_fingerprint(setting: str, address: str) -> str:
    """Returns a hash of the state of the files that a setting names.

    Raises:
        BadInputError: There is no file, or it cannot be read.
    """
    try:
        paths = find_files(address) if setting in _TEXT_SETTINGS else [str(path) for _, path in files_of(address)]
        if paths:
            return files_fingerprint(paths)
        reason = "no file"
    except (OSError, tf.errors.OpError) as error:
        reason = str(getattr(error, "strerror", None) or getattr(error, "message", None) or error)
    raise BadInputError(
        f"`{setting}` must name files that the cluster can read. Received: {setting}='{address}' ({reason}). Check the "
        "address, and the permissions of the cluster's service account."
    )


if __name__ == "__main__":
    main()
