"""From strings to token ids in the TensorFlow graph: vocabulary, word pieces, packing and masking."""

from kerasbert.preprocessing.added_tokens import AddedToken
from kerasbert.preprocessing.mask_rate import LinearMaskRate
from kerasbert.preprocessing.masking import MaskedLMMasker
from kerasbert.preprocessing.merged_words import MergedWords, merged_words
from kerasbert.preprocessing.packing import SegmentPacker
from kerasbert.preprocessing.text_to_inputs import TextToInputs
from kerasbert.preprocessing.tokenizer import WordPieceTokenizer
from kerasbert.preprocessing.vocabulary import Vocabulary
from kerasbert.preprocessing.vocabulary_learning import learn_vocabulary

__all__ = [
    "AddedToken",
    "LinearMaskRate",
    "MaskedLMMasker",
    "MergedWords",
    "SegmentPacker",
    "TextToInputs",
    "Vocabulary",
    "WordPieceTokenizer",
    "learn_vocabulary",
    "merged_words",
]
