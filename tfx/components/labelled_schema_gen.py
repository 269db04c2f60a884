"""The schema of labelled rows: what each column must be, and which labels training knows.

TFX's own SchemaGen would take texts of a small table for categories, and labels of a large one for free text. Here the
task says what a column is, and the labels of the training split are the labels that there are.
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
# TensorFlow Data Validation must list every label, for the schema and for messages.
MOST_LABELS = 100_000


@component
def LabelledSchemaGen(  # noqa: N802 (TFX components are named like classes)
    statistics: InputArtifact[ExampleStatistics],
    schema: OutputArtifact[Schema],
    columns: Parameter[str],
) -> None:
    """Writes the schema that the training split sets.

    Args:
        statistics: of all splits, among them "train".
        schema: where `schema.pbtxt` is written.
        columns: the fields of `Columns`, as JSON.
    """
    dataset = stats_artifact_utils.load_statistics(statistics, "train").proto().datasets[0]
    learned = schema_of(Columns(**json.loads(columns)), dataset)
    fileio.makedirs(schema.uri)
    tfdv.write_schema_text(learned, f"{schema.uri}/{SCHEMA_FILE}")


def schema_of(columns: Columns, dataset: statistics_pb2.DatasetFeatureStatistics) -> schema_pb2.Schema:
    """The schema that a training split sets.

    Raises:
        BadInputError: there are no rows, or fewer than two labels where one of several is asked for.
    """
    if not dataset.num_examples:
        raise BadInputError(
            "The training split must have rows. Received: none. Give more rows, or that split a larger share."
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
            f"labelled {', '.join(map(repr, labels)) or 'with nothing'} in column {columns.label!r}. "
            "Add rows of another class, or check the label column."
        )
    feature.domain = columns.label
    schema.string_domain.add(name=columns.label, value=labels)
    return schema


def label_counts(label: str, dataset: statistics_pb2.DatasetFeatureStatistics) -> Mapping[str, int]:
    """How often each label is there."""
    for feature in dataset.features:
        if label in (feature.name, *feature.path.step):
            histogram = feature.string_stats.rank_histogram
            return {bucket.label: int(bucket.sample_count) for bucket in histogram.buckets}
    return {}


def _add_feature(
    schema: schema_pb2.Schema, name: str, kind: Any, at_least: int, at_most: int | None
) -> schema_pb2.Feature:
    """A feature that every row must have, with so many values."""
    feature = schema.feature.add(name=name, type=kind)
    feature.presence.min_fraction = 1.0
    feature.presence.min_count = 1
    feature.value_count.min = at_least
    if at_most is not None:
        feature.value_count.max = at_most
    return feature
