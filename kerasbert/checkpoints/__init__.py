"""Answers: how does a model get onto disk and back, in our own layout and in other projects'?"""

from kerasbert.checkpoints.loading import Checkpoint, load, load_backbone
from kerasbert.checkpoints.saving import save

__all__ = ["Checkpoint", "load", "load_backbone", "save"]
