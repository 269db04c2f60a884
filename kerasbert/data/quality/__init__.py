"""What is wrong with labelled texts, before a model is trained on them: repeated texts, doubtful labels, scripts."""

from kerasbert.data.quality.doubtful_labels import (
    FOLDS,
    DoubtfulLabel,
    doubtful_labels,
    labels_as_numbers,
    out_of_fold_probabilities,
)
from kerasbert.data.quality.linear_classifier import linear_classifier
from kerasbert.data.quality.repeated_texts import (
    conflicting_groups,
    near_duplicates,
    repeated_groups,
    text_key,
)
from kerasbert.data.quality.scripts import script_shares

__all__ = [
    "FOLDS",
    "DoubtfulLabel",
    "conflicting_groups",
    "doubtful_labels",
    "labels_as_numbers",
    "linear_classifier",
    "near_duplicates",
    "out_of_fold_probabilities",
    "repeated_groups",
    "script_shares",
    "text_key",
]
