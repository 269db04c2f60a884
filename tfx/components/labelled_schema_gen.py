"""The schema of labelled rows: the type of each column, and the labels that training knows.

TFX's SchemaGen would treat the texts of a small table as categories, and the labels of a large one as free text. Here
the task defines the type of a column, and the known labels are those of the training split.
"""

import json
from collections.abc import Mapping
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import ExampleStatistics, Schema

from kerasbert.errors import BadInputError
from kerasbert_tfx.records.labelled_records import MULTI_LABEL, REGRESSION, Columns

SCHEMA_FILE = "schema.pbtxt"
# TensorFlow Data Validation must list all labels, for the schema and for messages.
MOST_LABELS = 100_000


@component
def LabelledSchemaGen(  # noqa: N802 (TFX components are named like classes)
    statistics: InputArtifact[ExampleStatistics],
    schema: OutputArtifact[Schema],
    columns: Parameter[str],
) -> None:
    """Writes the schema of the training split.

    Args:
        statistics: The statistics of all splits, including "train".
        schema: The output with `schema.pbtxt`.
        columns: The fields of `Columns`, as a JSON object.
    """
    dataset = stats_artifact_utils.load_statistics(statistics, "train").proto().datasets[0]
    learned = schema_of(Columns(**json.loads(columns)), dataset)
    fileio.makedirs(schema.uri)
    tfdv.write_schema_text(learned, f"{schema.uri}/{SCHEMA_FILE}")


def schema_of(columns: Columns, dataset: statistics_pb2.DatasetFeatureStatistics) -> schema_pb2.Schema:
    """Returns the schema of a training split.

    Args:
        columns: The columns and the task.
        dataset: The statistics of the training split.

    Raises:
        BadInputError: If there are no rows, or fewer than two labels for single-label classification.
    """
    if not dataset.num_examples:
        raise BadInputError(
            "The training split must have rows. Received: no row. Add rows, or set a larger `train_share`."
        )
    schema = schema_pb2.Schema()
    for name in columns.texts:
        _add_feature(schema, name, schema_pb2.BYTES, at_least=1, at_most=1)
    if columns.task == REGRESSION:
        _add_feature(schema, columns.label, schema_pb2.FLOAT, at_least=1, at_most=1)
        return schema
    feature = _add_feature(
        schema,
        columns.label,
        schema_pb2.BYTES,
        at_least=0 if columns.task == MULTI_LABEL else 1,
        at_most=None if columns.has_label_lists else 1,
    )
    labels = sorted(label_counts(columns.label, dataset))
    if len(labels) < (1 if columns.task == MULTI_LABEL else 2):
        raise BadInputError(
            f"Classification needs at least two classes. Received: {int(dataset.num_examples)} training rows, all "
            f"with {f'the label {labels[0]!r}' if labels else 'no label'} in column {columns.label!r}. "
            "Add rows of another class, or check `label_column`."
        )
    feature.domain = columns.label
    schema.string_domain.add(name=columns.label, value=labels)
    return schema


def label_counts(label: str, dataset: statistics_pb2.DatasetFeatureStatistics) -> Mapping[str, int]:
    """Returns label -> number of rows."""
    for feature in dataset.features:
        if label in (feature.name, *feature.path.step):
            histogram = feature.string_stats.rank_histogram
            return {bucket.label: int(bucket.sample_count) for bucket in histogram.buckets}
    return {}


def _add_feature(
    schema: schema_pb2.Schema, name: str, kind: Any, at_least: int, at_most: int | None
) -> schema_pb2.Feature:
    """Adds a feature that every row must have, with bounds for its number of values."""
    feature = schema.feature.add(name=name, type=kind)
    feature.presence.min_fraction = 1.0
    feature.presence.min_count = 1
    feature.value_count.min = at_least
    if at_most is not None:
        feature.value_count.max = at_most
    return feature
