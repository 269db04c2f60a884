"""Answers: which models are there? Functional Keras models made of `kerasbert.layers`, one task per file."""

from kerasbert.models.backbone import BertBackbone
from kerasbert.models.pretraining import BertPretrainer
from kerasbert.models.sequence_classification import BertSequenceClassifier

__all__ = ["BertBackbone", "BertPretrainer", "BertSequenceClassifier"]
