"""How does a file of text become a trained model in a run folder? The steps in order, for commands and pipelines.

This is the one code path for training: it puts together what `data`, `preprocessing`, `models`, `training` and
`checkpoints` know, which know nothing of each other.
"""

from kerasbert.recipes.exporting import export_model
from kerasbert.recipes.fine_tuning import fine_tune
from kerasbert.recipes.prediction import evaluate, predict
from kerasbert.recipes.pretraining import pretrain
from kerasbert.run_folder import RunFolder
from kerasbert.settings import FineTuningSettings, PretrainingSettings

__all__ = [
    "FineTuningSettings",
    "PretrainingSettings",
    "RunFolder",
    "evaluate",
    "export_model",
    "fine_tune",
    "predict",
    "pretrain",
]
