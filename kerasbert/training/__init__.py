"""Training and evaluation: optimizers, schedules, losses, class weights, a resumable `fit`, and metrics."""

from kerasbert.training.accumulation_ramp import AccumulationRamp
from kerasbert.training.averaged_weights import on_averages, use_averages
from kerasbert.training.class_weighting import ClassWeights, class_weights
from kerasbert.training.compilation import compile_candidates, compile_classifier, compile_pretrainer
from kerasbert.training.evaluation import evaluate_classifier, evaluate_pretrainer, majority_class
from kerasbert.training.fitting import fit
from kerasbert.training.freezing import freeze
from kerasbert.training.large_batch_optimizers import Lamb, StableAdamW, lamb, stable_adamw
from kerasbert.training.layer_rates import layer_wise_factors
from kerasbert.training.losses import (
    CandidateLoss,
    ClassWeightedLoss,
    MaskedLMLoss,
    SmoothedCrossentropy,
    classification_loss,
    next_sentence_loss,
)
from kerasbert.training.low_rank import add_low_rank_adapters, merged_adapters
from kerasbert.training.metrics import classification_metrics, multi_label_metrics, regression_metrics
from kerasbert.training.optimizers import AdamW, OriginalAdamW, adamw, original_adamw
from kerasbert.training.r_drop import RDropLoss, rows_twice
from kerasbert.training.recomputed_blocks import checkpoint_gradients
from kerasbert.training.run.data_parallel import join_processes
from kerasbert.training.run.history import History
from kerasbert.training.run.phases import Phase
from kerasbert.training.schedules import LinearWarmupDecay, OneCycle, OriginalWarmupDecay, WarmupStableDecay

__all__ = [
    "AccumulationRamp",
    "AdamW",
    "CandidateLoss",
    "ClassWeightedLoss",
    "ClassWeights",
    "History",
    "Lamb",
    "LinearWarmupDecay",
    "MaskedLMLoss",
    "OneCycle",
    "OriginalAdamW",
    "OriginalWarmupDecay",
    "Phase",
    "RDropLoss",
    "SmoothedCrossentropy",
    "StableAdamW",
    "WarmupStableDecay",
    "adamw",
    "add_low_rank_adapters",
    "checkpoint_gradients",
    "class_weights",
    "classification_loss",
    "classification_metrics",
    "compile_candidates",
    "compile_classifier",
    "compile_pretrainer",
    "evaluate_classifier",
    "evaluate_pretrainer",
    "fit",
    "freeze",
    "join_processes",
    "lamb",
    "layer_wise_factors",
    "majority_class",
    "merged_adapters",
    "multi_label_metrics",
    "next_sentence_loss",
    "on_averages",
    "original_adamw",
    "regression_metrics",
    "rows_twice",
    "stable_adamw",
    "use_averages",
]
