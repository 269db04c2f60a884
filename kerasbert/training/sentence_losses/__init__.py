"""Losses that train sentence encoders, as Keras losses of the vectors of a batch.

Each takes labels and the vectors `[B, K, E]` of the K texts of each row, e.g. anchor, positive and negatives. For the
model that computes such vectors, see `kerasbert.models.encode_columns`.
"""

from kerasbert.training.sentence_losses.contrastive import ContrastiveLoss, OnlineContrastiveLoss
from kerasbert.training.sentence_losses.distillation import DistillKLLoss, MarginMSELoss, VectorMSELoss
from kerasbert.training.sentence_losses.matryoshka import MatryoshkaLoss
from kerasbert.training.sentence_losses.ranking import MultipleNegativesRankingLoss
from kerasbert.training.sentence_losses.scored_pairs import AnglELoss, CoSENTLoss, CosineSimilarityLoss
from kerasbert.training.sentence_losses.sentence_loss import SentenceLoss
from kerasbert.training.sentence_losses.triplets import BatchTripletLoss, TripletLoss

__all__ = [
    "AnglELoss",
    "BatchTripletLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "CosineSimilarityLoss",
    "DistillKLLoss",
    "MarginMSELoss",
    "MatryoshkaLoss",
    "MultipleNegativesRankingLoss",
    "OnlineContrastiveLoss",
    "SentenceLoss",
    "TripletLoss",
    "VectorMSELoss",
]
