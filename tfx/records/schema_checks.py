"""Code that the checks of rows and documents share: anomalies as text, and the last accepted schema."""

import json
import os
from collections.abc import Sequence
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, Schema
from tfx.utils import io_utils

MOST_IN_A_MESSAGE = 5


def read_schema(schema: Schema) -> schema_pb2.Schema:
    """Reads the schema of an artifact."""
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))


def read_anomalies(anomalies: ExampleAnomalies, split: str) -> list[str]:
    """Reads the anomalies that ExampleValidator found in a split, one sentence per anomaly."""
    found = anomalies_pb2.Anomalies()
    with fileio.open(f"{artifact_utils.get_split_uri([anomalies], split)}/{DEFAULT_FILE_NAME}", "rb") as file:
        found.ParseFromString(file.read())
    return described(found)


def described(anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Returns one sentence per anomaly."""
    sentences = [f"column {name!r}: {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        sentences.append(anomalies.dataset_anomaly_info.description)
    return sentences


def labels_of(schema: schema_pb2.Schema, label: str) -> list[str]:
    """Returns the values that a schema lists for a column, if it lists any."""
    for feature in schema.feature:
        if feature.name == label and feature.HasField("string_domain"):
            return list(feature.string_domain.value)
        if feature.name == label and feature.HasField("domain"):
            return list(tfdv.get_domain(schema, label).value)
    return []


def summary_of(schema: schema_pb2.Schema) -> dict[str, Any]:
    """Returns column -> its type and its possible values, as JSON values."""
    return {
        feature.name: {
            "type": schema_pb2.FeatureType.Name(feature.type),
            "values": sorted(labels_of(schema, feature.name)),
        }
        for feature in schema.feature
    }


def read_accepted(path: str) -> dict[str, Any] | None:
    """Reads the summary of the last accepted schema, or returns None if there is none."""
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        summary: dict[str, Any] = json.loads(file.read())
    return summary


def write_accepted(path: str, summary: dict[str, Any]) -> None:
    """Writes the summary of an accepted schema."""
    fileio.makedirs(os.path.dirname(path))
    io_utils.write_string_file(path, json.dumps(summary, indent=2))


def shortened(parts: Sequence[str], separator: str = ", ") -> str:
    """Joins the first few parts and counts the others.

    Example:
        >>> shortened(list("abcdefg"))
        'a, b, c, d, e and 2 more'
    """
    more = len(parts) - MOST_IN_A_MESSAGE
    return separator.join(parts[:MOST_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")
