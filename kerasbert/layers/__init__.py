"""Which parts is BERT made of?

One Keras layer per file, written with `keras.ops` only. Each can be used on its own in any Keras model.
"""

from kerasbert.layers.attention import SelfAttention
from kerasbert.layers.embeddings import BertEmbeddings
from kerasbert.layers.encoder_block import EncoderBlock
from kerasbert.layers.feed_forward import FeedForward
from kerasbert.layers.masked_lm_head import MaskedLMHead
from kerasbert.layers.pooling import Pooling

__all__ = ["BertEmbeddings", "EncoderBlock", "FeedForward", "MaskedLMHead", "Pooling", "SelfAttention"]
