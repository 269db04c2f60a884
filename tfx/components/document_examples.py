"""Reads text files into examples, one per document, split into training and held-out text.

This is an ExampleGen: its driver records the names and contents of the files, so changed text is read again and
unchanged text is taken from the cache. How the text is read: see records/document_making.py.
"""

import dataclasses
import json
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.components.util import examples_utils
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.orchestration.data_types import ComponentInfo, PipelineInfo
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from kerasbert.data import TableFormat
from kerasbert.data.tables.table_format import PLAIN
from kerasbert_tfx.records.document_making import write_document_examples
from kerasbert_tfx.records.document_records import SPLITS
from kerasbert_tfx.records.fingerprints import files_fingerprint
from kerasbert_tfx.records.input_files import find_files, folder_and_pattern


class DocumentExamplesDriver(FileBasedDriver):
    """Finds the files, including those in sub-folders, and refuses missing files before anything runs."""

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: PipelineInfo, component_info: ComponentInfo
    ) -> dict[str, Any]:
        """Replaces TFX's fingerprint, which only knows sizes and whole seconds, by one of all files' content."""
        files = find_files(_options(exec_properties)["texts"])
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        return {**resolved, FINGERPRINT_PROPERTY_NAME: files_fingerprint(files)}


class DocumentExamplesExecutor(BaseBeamExecutor):
    """Reads ranges of text in parallel."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]
    ) -> None:
        """Writes the examples of both splits."""
        self._log_startup(input_dict, output_dict, exec_properties)
        options = _options(exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        write_document_examples(
            self._make_beam_pipeline(),
            examples.uri,
            options["texts"],
            options["held_out_share"],
            options["text_column"] or None,
            int(options["range_bytes"]),
            TableFormat(**json.loads(options["table_format"])),
        )


class DocumentExamples(FileBasedExampleGen):
    """Reads the text of a pretraining run.

    Args:
        texts: A file, a folder or a pattern of plain text or of tables.
        held_out_share: Share of documents in the split "eval".
        text_column: The column of the texts if the files are tables. The text of each row is a document.
        range_bytes: How much text one worker reads at a time.
        table_format: How the files are written.
    """

    DRIVER_CLASS = DocumentExamplesDriver
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(DocumentExamplesExecutor)

    def __init__(
        self,
        texts: str,
        held_out_share: float,
        text_column: str | None = None,
        range_bytes: int = 32_000_000,
        table_format: TableFormat = PLAIN,
    ) -> None:
        options = struct_pb2.Struct()
        options.update(
            {
                "texts": texts,
                "held_out_share": held_out_share,
                "text_column": text_column or "",
                "range_bytes": range_bytes,
                "table_format": json.dumps(dataclasses.asdict(table_format)),
            }
        )
        packed = any_pb2.Any()
        packed.Pack(options)
        folder, pattern = folder_and_pattern(texts)
        super().__init__(
            input_base=folder,
            input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="texts", pattern=pattern)]),
            custom_config=example_gen_pb2.CustomConfig(custom_config=packed),
        )


def _options(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the component was created with."""
    custom = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(exec_properties["custom_config"], custom)
    options = struct_pb2.Struct()
    custom.custom_config.Unpack(options)
    return dict(options.items())
