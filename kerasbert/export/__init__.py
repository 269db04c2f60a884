"""How does a trained model become a SavedModel that takes raw strings, or a file for another runtime?"""

from kerasbert.export.formats import write_graph
from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.saved_model import save, write
from kerasbert.export.serving_compatibility import check_serving_version, first_serving_version
from kerasbert.export.warm_up import WarmUp

__all__ = ["AnswerSearch", "WarmUp", "check_serving_version", "first_serving_version", "save", "write", "write_graph"]
