"""Every setting of training, declared once: its name, type, range, default and help text.

Command-line options, pipeline settings, checks in Python, tables of the documentation and JSON schemas are derived from
these classes. Imports neither Keras nor TensorFlow.
"""

from kerasbert.settings.data_check_settings import DataCheckSettings
from kerasbert.settings.fine_tuning_settings import FineTuningParameters, FineTuningSettings
from kerasbert.settings.inference_settings import AnswerSettings, ExportSettings, InferenceSettings
from kerasbert.settings.pretraining_settings import PretrainingParameters, PretrainingSettings
from kerasbert.settings.question_settings import QuestionSettings
from kerasbert.settings.setting_info import SettingInfo, settings_of
from kerasbert.settings.setting_types import PROBLEM_TYPES, ProblemType
from kerasbert.settings.settings_class import Source, settings_class, settings_from
from kerasbert.settings.table_settings import FormatSettings, TableSettings, TextTableSettings
from kerasbert.settings.training_settings import RunSettings, TrainingSettings

__all__ = [
    "PROBLEM_TYPES",
    "AnswerSettings",
    "DataCheckSettings",
    "ExportSettings",
    "FineTuningParameters",
    "FineTuningSettings",
    "FormatSettings",
    "InferenceSettings",
    "PretrainingParameters",
    "PretrainingSettings",
    "ProblemType",
    "QuestionSettings",
    "RunSettings",
    "SettingInfo",
    "Source",
    "TableSettings",
    "TextTableSettings",
    "TrainingSettings",
    "settings_class",
    "settings_from",
    "settings_of",
]
