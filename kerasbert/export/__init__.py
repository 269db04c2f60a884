"""Answers: how does a trained model become a SavedModel that takes raw strings and that TF Serving can serve?"""

from kerasbert.export.saved_model import save

__all__ = ["save"]
