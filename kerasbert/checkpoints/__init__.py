"""Answers: how does a model get onto disk and back, in our own layout and in other projects'?"""

from kerasbert.checkpoints.conversion import ConversionReport, convert
from kerasbert.checkpoints.formats.keras_hub import from_keras_hub, to_keras_hub
from kerasbert.checkpoints.loading import Checkpoint, load, load_backbone
from kerasbert.checkpoints.model_comparison import largest_differences
from kerasbert.checkpoints.saving import save

__all__ = [
    "Checkpoint",
    "ConversionReport",
    "convert",
    "from_keras_hub",
    "largest_differences",
    "load",
    "load_backbone",
    "save",
    "to_keras_hub",
]
