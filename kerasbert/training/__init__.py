"""How does a BERT learn, and how well does it do? Optimizers, schedules, losses, a resumable `fit`, evaluation."""

from kerasbert.training.compilation import compile_classifier, compile_pretrainer
from kerasbert.training.evaluation import evaluate_classifier, evaluate_pretrainer, majority_class
from kerasbert.training.fit import fit
from kerasbert.training.history import History
from kerasbert.training.losses import MaskedLMLoss, classification_loss, next_sentence_loss
from kerasbert.training.metrics import classification_metrics, multi_label_metrics, regression_metrics
from kerasbert.training.optimizers import AdamW, OriginalAdamW, adamw, original_adamw
from kerasbert.training.phase import Phase
from kerasbert.training.schedules import LinearWarmupDecay, OriginalWarmupDecay

__all__ = [
    "AdamW",
    "History",
    "LinearWarmupDecay",
    "MaskedLMLoss",
    "OriginalAdamW",
    "OriginalWarmupDecay",
    "Phase",
    "adamw",
    "classification_loss",
    "classification_metrics",
    "compile_classifier",
    "compile_pretrainer",
    "evaluate_classifier",
    "evaluate_pretrainer",
    "fit",
    "majority_class",
    "multi_label_metrics",
    "next_sentence_loss",
    "original_adamw",
    "regression_metrics",
]
