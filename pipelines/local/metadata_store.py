"""Where a pipeline keeps what it knows of its runs."""

from typing import Any

from tfx.orchestration import metadata

from kerasbert_pipelines.settings import PipelineSettings


def metadata_connection(settings: PipelineSettings) -> Any:
    """The SQLite file of local runs; None for a path in a bucket, where the backend keeps its own records."""
    if "://" in settings.metadata_path:
        return None
    return metadata.sqlite_metadata_connection_config(settings.metadata_path)
