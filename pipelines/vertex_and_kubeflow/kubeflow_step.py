"""Runs one step of a pipeline on Kubeflow Pipelines. It is the entry point of the step's container.

TFX's own entry point works on Vertex AI. Kubeflow's backend passes input artifacts without their types, adds an output
for logs, runs no driver, and copies artifacts between its store and local folders before and after the step. This
module prepares the executor input, calls TFX's entry point, and corrects the executor output.
"""

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver

from kerasbert.errors import BadInputError
from kerasbert_pipelines.vertex_and_kubeflow.kubeflow_spec import FINGERPRINT_PREFIX
from kerasbert_pipelines.vertex_and_kubeflow.run_parameters import PREFIX

_PLACEHOLDER = re.compile(rf"(?:\$\{{|\{{\{{\$\.inputs\.parameters\[')({PREFIX}\w+)(?:\}}|'\]\}}\}})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the step that the command line describes.

    Raises:
        SystemExit: The step failed because of its input. The reason is the last line on standard error.
    """
    options, beam_arguments = _parser().parse_known_args(arguments)
    try:
        _run(options, beam_arguments)
    except BadInputError as error:
        sys.exit(f"{options.name}: {error}")


def _run(options: argparse.Namespace, beam_arguments: list[str]) -> None:
    given = json.loads(options.json_serialized_invocation_args)
    inputs_spec = json.loads(options.json_serialized_inputs_spec_args)
    prepared = prepared_input(given, inputs_spec, options.outputs, keep_addresses=options.keep_addresses)
    output_file = prepared["outputs"]["outputFile"]
    options.json_serialized_invocation_args = json.dumps(prepared)
    with contextlib.suppress(FileNotFoundError):
        os.remove(output_file)  # An earlier attempt's, which TFX would take for a driver's.
    if options.resolve_input_files:
        driver.main(options)
    kubeflow_v2_run_executor.main((options, beam_arguments))
    addresses = {
        name: artifacts["artifacts"][0]["uri"]
        for name, artifacts in given["outputs"].get("artifacts", {}).items()
        if name in options.outputs
    }
    if options.keep_addresses:
        for address in addresses.values():
            remove_folder_objects(address)
    with open(output_file, encoding="utf-8") as file:
        written = json.load(file)
    with open(output_file, "w", encoding="utf-8") as file:
        json.dump(corrected_output(written, addresses), file)


def prepared_input(
    given: Mapping[str, Any], inputs_spec: Mapping[str, Any], outputs: Sequence[str], keep_addresses: bool
) -> dict[str, Any]:
    """Returns the executor input that TFX's entry point can read.

    Args:
        given: The backend's executor input.
        inputs_spec: The component's inputs, with the types that the backend withholds.
        outputs: The component's outputs. Others are the backend's own.
        keep_addresses: Whether the step reads and writes the store itself, instead of the launcher's local copies.
    """
    inputs = given.get("inputs", {})
    types = {name: spec["artifactType"] for name, spec in inputs_spec.get("artifacts", {}).items()}
    kinds = {name: spec["parameterType"] for name, spec in inputs_spec.get("parameters", {}).items()}
    place = (lambda artifact: artifact["uri"]) if keep_addresses else _local_path
    return {
        "inputs": {
            "parameterValues": _filled(inputs.get("parameterValues", {}), kinds),
            "artifacts": {
                name: {
                    "artifacts": [
                        {**artifact, "type": types[name], "uri": place(artifact)} for artifact in artifacts["artifacts"]
                    ]
                }
                for name, artifacts in inputs.get("artifacts", {}).items()
                if name in types
            },
        },
        "outputs": {
            "artifacts": {
                name: {"artifacts": [{**artifact, "uri": place(artifact)} for artifact in artifacts["artifacts"]]}
                for name, artifacts in given["outputs"].get("artifacts", {}).items()
                if name in outputs
            },
            "outputFile": given["outputs"]["outputFile"],
        },
    }


def corrected_output(written: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    """Returns TFX's executor output in the form that the backend accepts.

    Args:
        written: The executor output. Its artifacts may have local paths, and null among their metadata.
        addresses: Output -> the address that the backend chose.
    """
    return {
        "artifacts": {
            name: {
                "artifacts": [
                    {
                        "uri": addresses[name],
                        "metadata": {
                            key: value for key, value in artifact.get("metadata", {}).items() if value is not None
                        },
                    }
                    for artifact in artifacts["artifacts"]
                ]
            }
            for name, artifacts in written.get("artifacts", {}).items()
            if name in addresses
        }
    }


def remove_folder_objects(address: str) -> None:
    """Removes the empty objects that stand for folders below an address. The launcher would download them as files.

    Args:
        address: A folder in a bucket that Beam knows.
    """
    # Beam lists these objects, which TensorFlow hides. But it would also delete everything below a name with a slash.
    (found,) = FileSystems.match([f"{address.rstrip('/')}/**"])
    for file in found.metadata_list:
        if file.path.endswith("/") and not file.size_in_bytes:
            tf.io.gfile.remove(file.path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Runs one step of a pipeline on Kubeflow Pipelines.")
    # The first three have the names of TFX's entry point and of its driver, which receive these options.
    parser.add_argument("--executor_class_path", required=True, help="The class that does the work.")
    parser.add_argument("--json_serialized_invocation_args", required=True, help="The backend's executor input.")
    parser.add_argument("--json_serialized_inputs_spec_args", required=True, help="The component's inputs, as JSON.")
    parser.add_argument("--name", required=True, help="The component's id, for messages.")
    parser.add_argument("--outputs", type=json.loads, required=True, help="The component's outputs, as a JSON list.")
    parser.add_argument("--resolve_input_files", action="store_true", help="Run TFX's driver of ExampleGens first.")
    parser.add_argument(
        "--keep_addresses", action="store_true", help="Read and write the store, not the launcher's local copies."
    )
    return parser


def _local_path(artifact: Mapping[str, Any]) -> str:
    """Where the launcher puts an artifact, or takes it from: /gcs/bucket/key for gs://bucket/key, /s3/... for s3://..."""
    address: str = artifact["uri"]
    if artifact.get("customPath"):
        return str(artifact["customPath"])
    scheme, is_remote, key = address.partition("://")
    return f"/{'gcs' if scheme == 'gs' else scheme}/{key}" if is_remote else address


def _filled(values: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Returns the parameters without those that are only part of others or of the cache's key, with both filled in."""

    def text(found: re.Match[str]) -> str:
        name = found[1]
        value = values[name]
        if kinds.get(name) == "NUMBER_INTEGER":
            value = int(value)
        return json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value)

    return {
        name: _PLACEHOLDER.sub(text, value) if isinstance(value, str) else value
        for name, value in values.items()
        if not name.startswith((PREFIX, FINGERPRINT_PREFIX))
    }


if __name__ == "__main__":
    main()
