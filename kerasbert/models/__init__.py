"""Functional Keras models built from `kerasbert.layers`, one task per file."""

from kerasbert.models.backbone import BertBackbone
from kerasbert.models.flat_tokens import flat_tokens
from kerasbert.models.multiple_choice import BertMultipleChoice
from kerasbert.models.position_resize import resize_positions
from kerasbert.models.precision import in_precision
from kerasbert.models.pretraining import BertPretrainer
from kerasbert.models.sentence_columns import encode_columns
from kerasbert.models.sentence_encoder import BertSentenceEncoder
from kerasbert.models.sequence_classification import BertSequenceClassifier
from kerasbert.models.span_prediction import BertSpanPredictor
from kerasbert.models.token_classification import BertTokenClassifier

__all__ = [
    "BertBackbone",
    "BertMultipleChoice",
    "BertPretrainer",
    "BertSentenceEncoder",
    "BertSequenceClassifier",
    "BertSpanPredictor",
    "BertTokenClassifier",
    "encode_columns",
    "flat_tokens",
    "in_precision",
    "resize_positions",
]
