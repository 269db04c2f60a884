"""The steps that turn text files into a trained model in a run folder, for commands and pipelines.

This is the only code path for training. It combines `data`, `preprocessing`, `models`, `training` and `checkpoints`,
which do not import each other.
"""

from kerasbert.recipes.exporting import export_graph, export_model
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
    "export_graph",
    "export_model",
    "fine_tune",
    "predict",
    "pretrain",
]
