"""The two TFX pipelines, their settings, and the runners that execute them.

Importing this package imports neither TFX nor TensorFlow: the pipelines' modules do.
"""

from kerasbert_pipelines.settings import (
    ComponentResources,
    FineTuneSettings,
    PipelineSettings,
    PretrainSettings,
    read_settings,
)

__all__ = ["ComponentResources", "FineTuneSettings", "PipelineSettings", "PretrainSettings", "read_settings"]
