"""Cleans text before it is split into words, in the TensorFlow graph.

`TfTextNormalizer` is tensorflow-text's own normalization, for checkpoints that were trained with it. Does not look
anything up in a vocabulary: see tokenizer.py.

Shapes: B batch.
"""

import tensorflow as tf
import tensorflow_text as tf_text

NORMALIZATIONS = ("tf_text",)

_CJK = (
    r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B820}-\x{2CEAF}"
    r"\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]"
)
_PUNCTUATION = r"[!-/:-@\[-`{-~\p{P}]"


class TfTextNormalizer(tf.Module):
    """tensorflow-text's FastBertNormalizer: NFKC case folding, NFD, accents dropped, control characters to spaces.

    Args:
        lower_case: fold case and drop accents.
        split_cjk: whether a CJK character is a word of its own.
    """

    def __init__(self, lower_case: bool, split_cjk: bool) -> None:
        super().__init__()
        with tf.init_scope():
            self._normalizer = tf_text.FastBertNormalizer(lower_case_nfd_strip_accents=lower_case)
        self._apart = f"{_CJK}|{_PUNCTUATION}" if split_cjk else _PUNCTUATION

    def normalize(self, texts: tf.Tensor) -> tf.Tensor:
        """String [B] -> string [B]."""
        return self._normalizer.normalize(texts)

    def normalize_with_offsets(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.RaggedTensor]:
        """The normalized texts, and where each of their bytes, and their end, came from: int64 [B, (bytes + 1)]."""
        return self._normalizer.normalize_with_offsets(texts)

    def words(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The normalized words: ragged strings [B, (words)]."""
        return tf_text.regex_split(self.normalize(texts), rf"\s+|{self._apart}", self._apart)
