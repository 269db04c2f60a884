"""The steps that turn text files into a trained model in a run folder, for commands and pipelines.

This is the only code path for training. It combines `data`, `preprocessing`, `models`, `training` and `checkpoints`,
which do not import each other.
"""

from kerasbert.recipes.data_check import DataCheck, check_data
from kerasbert.recipes.data_check_files import write_data_check
from kerasbert.recipes.exporting import export_graph, export_model
from kerasbert.recipes.fine_tuning import fine_tune
from kerasbert.recipes.prediction import evaluate, predict
from kerasbert.recipes.pretraining import pretrain
from kerasbert.recipes.tasks.mask_filling import fill
from kerasbert.run_folder import RunFolder
from kerasbert.settings import FineTuningSettings, PretrainingSettings

__all__ = [
    "DataCheck",
    "FineTuningSettings",
    "PretrainingSettings",
    "RunFolder",
    "check_data",
    "evaluate",
    "export_graph",
    "export_model",
    "fill",
    "fine_tune",
    "predict",
    "pretrain",
    "write_data_check",
]
