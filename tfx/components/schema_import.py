"""Reads the user's own schema into the artifact that ExampleValidator and the checks read.

TFX's ImportSchemaGen would not detect a corrected file with the same name, and would use the cache.
"""

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Schema

from kerasbert.errors import BadInputError
from kerasbert_tfx.components.labelled_schema_gen import SCHEMA_FILE
from kerasbert_tfx.records.remote_folders import copied_to_local


@component
def SchemaImport(  # noqa: N802 (TFX components are named like classes)
    schema: OutputArtifact[Schema], path: Parameter[str], fingerprint: Parameter[str]
) -> None:
    """Reads a schema.

    Args:
        schema: The output with `schema.pbtxt`.
        path: A file with TensorFlow Metadata's Schema as protobuf text, on this machine or in a bucket.
        fingerprint: The fingerprint of the file, so that a changed file is read again.
    """
    del fingerprint
    fileio.makedirs(schema.uri)
    tfdv.write_schema_text(read_schema(path), f"{schema.uri}/{SCHEMA_FILE}")


def read_schema(path: str) -> schema_pb2.Schema:
    """Reads the schema in a file.

    Args:
        path: The file, on this machine or in a bucket.

    Raises:
        BadInputError: If the file does not exist or contains something else.
    """
    if not fileio.exists(path) or fileio.isdir(path):
        raise BadInputError(f"`schema` must be a file that exists. Received: schema='{path}'. Check the path.")
    with copied_to_local(path) as file:
        try:
            return text_format.Parse(file.read_text(encoding="utf-8"), schema_pb2.Schema())
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise BadInputError(
                "`schema` must be TensorFlow Metadata's Schema as protobuf text. "
                f"Received: schema='{path}' ({error}). Start from the `schema.pbtxt` that an earlier run wrote."
            ) from error
