"""BERT's layers.

Each file contains one Keras layer, written with `keras.ops` only, which can be used alone in any Keras model.
"""

from kerasbert.layers.attention import SelfAttention
from kerasbert.layers.embeddings import BertEmbeddings
from kerasbert.layers.encoder_block import EncoderBlock
from kerasbert.layers.feed_forward import FeedForward
from kerasbert.layers.masked_lm_head import MaskedLMHead
from kerasbert.layers.norms import RMSNorm
from kerasbert.layers.pair_features import PairFeatures
from kerasbert.layers.pooling import Pooling
from kerasbert.layers.token_layout import TokenLayout, token_layout

__all__ = [
    "BertEmbeddings",
    "EncoderBlock",
    "FeedForward",
    "MaskedLMHead",
    "PairFeatures",
    "Pooling",
    "RMSNorm",
    "SelfAttention",
    "TokenLayout",
    "token_layout",
]
