"""Stops the run when the documents are not what they should be, before anything is trained on them.

TFX's ExampleValidator only reports anomalies and lets the run go on. This component turns them, and scripts that the
last run that passed did not have, into one clear line.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, JsonValue, Schema
from tfx.utils import io_utils

from kerasbert.errors import BadInputError
from kerasbert_tfx.components.data_check import summary_of

_MOST_IN_A_MESSAGE = 3


@component
def DocumentCheck(  # noqa: N802 (TFX components are named like classes)
    anomalies: InputArtifact[ExampleAnomalies],
    schema: InputArtifact[Schema],
    accepted: OutputArtifact[JsonValue],
    schema_source: Parameter[str],
    last_accepted: Parameter[str],
    accept_new_schema: Parameter[bool],
) -> None:
    """Passes, or raises what is wrong with the documents.

    Args:
        anomalies: what ExampleValidator found.
        schema: what the documents must be.
        accepted: what passed: the schema in short.
        schema_source: where the schema comes from, in words.
        last_accepted: the file that holds what passed last, and from now on this. It need not exist.
        accept_new_schema: whether a schema with other features or scripts than the last one passes.
    """
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        found = anomalies_pb2.Anomalies()
        uri = artifact_utils.get_split_uri([anomalies], split)
        with fileio.open(f"{uri}/{DEFAULT_FILE_NAME}", "rb") as file:
            found.ParseFromString(file.read())
        check_anomalies(split, found, schema_source)
    summary = summary_of(io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri)))
    if not accept_new_schema and fileio.exists(last_accepted):
        with fileio.open(last_accepted, "r") as file:
            check_nothing_new(json.loads(file.read()), summary)
    accepted.write(summary)
    fileio.makedirs(os.path.dirname(last_accepted))
    io_utils.write_string_file(last_accepted, json.dumps(summary, indent=2))


def check_nothing_new(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses a schema with something that the last one did not have. What is gone does no harm.

    Args:
        before, now: feature -> its `type` and `values`, as `summary_of` gives them.

    Raises:
        BadInputError: with each difference.
    """
    found = []
    for name, feature in sorted(now.items()):
        known = before.get(name)
        if known is None:
            found.append(f"'{name}' is new")
        elif known["type"] != feature["type"]:
            found.append(f"'{name}' was {known['type']} and is {feature['type']}")
        elif new := sorted(set(feature["values"]) - set(known["values"])):
            found.append(f"'{name}' has new values: {', '.join(new)}")
    if found:
        raise BadInputError(
            f"The documents' schema must be that of the last run that passed. Received: {'; '.join(found)}. "
            "Correct the texts, or set `accept_new_schema: true` for one run."
        )


def check_anomalies(split: str, anomalies: anomalies_pb2.Anomalies, schema: str) -> None:
    """Refuses documents that do not meet the schema.

    Raises:
        BadInputError: with the first anomalies.
    """
    found = [f"'{name}': {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        found.append(anomalies.dataset_anomaly_info.description)
    if found:
        more = f" and {len(found) - _MOST_IN_A_MESSAGE} more." if len(found) > _MOST_IN_A_MESSAGE else ""
        raise BadInputError(
            f"Documents must meet the schema of {schema}. Received in the split '{split}': "
            f"{' '.join(found[:_MOST_IN_A_MESSAGE])}{more} Correct the texts, or the schema if it is out of date."
        )
