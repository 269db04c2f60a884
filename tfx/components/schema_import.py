"""The schema that the user gives, as the artifact that ExampleValidator and the checks read.

TFX's ImportSchemaGen would take a corrected file under its old name from the cache.
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
        schema: where `schema.pbtxt` is written.
        path: a file with TensorFlow Metadata's Schema as protobuf text, here or in a bucket.
        fingerprint: of the file, so that a changed one is read again.
    """
    del fingerprint
    fileio.makedirs(schema.uri)
    tfdv.write_schema_text(read_schema(path), f"{schema.uri}/{SCHEMA_FILE}")


def read_schema(path: str) -> schema_pb2.Schema:
    """The schema in a file.

    Raises:
        BadInputError: the file is not there, or holds something else.
    """
    if not fileio.exists(path) or fileio.isdir(path):
        raise BadInputError(f"`schema` must be a file. Received: '{path}', which is none. Check the setting.")
    with copied_to_local(path) as file:
        try:
            return text_format.Parse(file.read_text(encoding="utf-8"), schema_pb2.Schema())
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise BadInputError(
                f"{path}: a schema must be TensorFlow Metadata's Schema as protobuf text. Received: {error}. "
                "Start from the `schema.pbtxt` that an earlier run wrote."
            ) from error
