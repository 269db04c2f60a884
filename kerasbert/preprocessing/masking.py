"""Chooses and masks tokens for masked-language-model training, as google-research/bert does.

By default, 15% of the positions are chosen, of which 80% become `[MASK]`, 10% a random piece and 10% do not change
(Devlin et al. 2018, section 3.1; `create_masked_lm_predictions` in create_pretraining_data.py). The code is vectorized
and runs in the TensorFlow graph, so each epoch can have new masks at little cost. Losses: see training/losses.py.

Shapes: B batch, T longest row, P masked positions.
"""

from typing import Any

import tensorflow as tf

from kerasbert.preprocessing.vocabulary import SUFFIX_MARK, Vocabulary

_ORDER, _KIND, _PIECE = range(3)  # the independent random numbers of each position


class MaskedLMMasker(tf.Module):
    """Masks a batch of packed rows. The same seed and rows give the same masks.

    The masks of a row depend on the seed, the row's position in the batch and the row itself, but never on other rows.

    Args:
        vocabulary: has `[MASK]`, the pieces for random replacement (all of them, as in the original) and the special
            tokens, which are never masked.
        rate: share of a row's tokens, including special tokens, to predict. The number is the same as in the original:
            min(max_predictions, max(1, round(length * rate))), or fewer if a row has fewer tokens to mask.
        max_predictions: P, the width of the outputs.
        mask_share: share of the chosen positions that become `[MASK]`.
        random_share: share of the chosen positions that become a random piece. The rest do not change.
        whole_word: whether to mask all pieces of a word or none. A word that would exceed the number is skipped.
        seed: random seed for calls without one.

    Raises:
        ValueError: a share is outside its range.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
        >>> masker = MaskedLMMasker(vocabulary, max_predictions=2, mask_share=1.0, random_share=0.0)
        >>> masked = masker(tf.ragged.constant([[2, 5, 3]]))
        >>> masked["token_ids"].to_list(), masked["mask_positions"].numpy().tolist()
        ([[2, 4, 3]], [[1, 0]])
        >>> masked["masked_ids"].numpy().tolist(), masked["masked_weights"].numpy().tolist()
        ([[5, 0]], [[1.0, 0.0]])
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        rate: float = 0.15,
        max_predictions: int = 20,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        whole_word: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ValueError(f"`rate` must be above 0 and at most 1. Received: rate={rate!r}.")
        if isinstance(max_predictions, bool) or not isinstance(max_predictions, int) or max_predictions < 1:
            raise ValueError(
                f"`max_predictions` must be a positive integer. Received: max_predictions={max_predictions!r}."
            )
        if mask_share < 0 or random_share < 0 or mask_share + random_share > 1 + 1e-9:
            raise ValueError(
                "`mask_share` and `random_share` must not be negative and must sum to at most 1. "
                f"Received: mask_share={mask_share!r}, random_share={random_share!r}."
            )
        self.vocabulary = vocabulary
        self.rate = rate
        self.max_predictions = max_predictions
        self.mask_share = mask_share
        self.random_share = random_share
        self.whole_word = whole_word
        self.seed = seed

    def __call__(self, token_ids: tf.RaggedTensor, seed: Any = None, rate: Any = None) -> dict[str, Any]:
        """Masks a batch.

        Args:
            token_ids: packed rows, ragged integers [B, (T)].
            seed: two integers (a stateless seed, e.g. `[run seed, batch index]`), or None for the masker's seed.
            rate: a float64 scalar in place of the masker's rate, e.g. that of a `LinearMaskRate`.

        Returns:
            A dictionary: masked `token_ids`, ragged int32 [B, (T)]; `mask_positions` in ascending order and
            `masked_ids` (the original ids there), int32 [B, P]; `masked_weights`, float32 [B, P], 1 for a real
            position. Unused positions are zero.
        """
        if not isinstance(token_ids, tf.RaggedTensor) or token_ids.shape.rank != 2:
            raise ValueError(
                f"`token_ids` must be a ragged tensor [batch, (tokens)]. Received: {token_ids!r}. "
                "Take the first output of SegmentPacker."
            )
        key = _seed_key([0, self.seed] if seed is None else seed)
        row_lengths = token_ids.row_lengths()
        tokens = tf.cast(token_ids, tf.int32).to_tensor(self.vocabulary.pad_id)  # [B, T]
        candidates = tf.reduce_all(tokens[..., None] != self.vocabulary.special_ids, axis=-1)  # [B, T]
        wanted = self._wanted(row_lengths, self.rate if rate is None else rate)
        choose = self._choose_words if self.whole_word else self._choose_tokens
        chosen = choose(tokens, candidates, wanted, _random(key, tokens, _ORDER))  # bool [B, T]
        masked = tf.where(chosen, self._replacements(tokens, key), tokens)
        positions, weights = self._chosen_positions(chosen)
        originals = tf.gather(_with_column(tokens), positions, batch_dims=1) * tf.cast(weights, tf.int32)
        return {
            "token_ids": tf.RaggedTensor.from_tensor(masked, lengths=row_lengths, row_splits_dtype=tf.int64),
            "mask_positions": positions,
            "masked_ids": originals,
            "masked_weights": weights,
        }

    def _wanted(self, row_lengths: tf.Tensor, rate: Any) -> tf.Tensor:
        """The number of positions to predict in each row. Rounds float64 half to even, like Python's `round`."""
        rounded = tf.round(tf.cast(row_lengths, tf.float64) * tf.convert_to_tensor(rate, tf.float64))
        return tf.clip_by_value(tf.cast(rounded, tf.int32), 1, self.max_predictions)

    def _choose_tokens(
        self, tokens: tf.Tensor, candidates: tf.Tensor, wanted: tf.Tensor, order: tf.Tensor
    ) -> tf.Tensor:
        """The candidates that come first in random order."""
        count = tf.minimum(self.max_predictions, tf.shape(tokens)[1])
        scores = tf.where(candidates, order, -1.0)
        best, positions = tf.math.top_k(scores, k=count)  # [B, count], in random order
        taken = (best >= 0) & (tf.range(count) < wanted[:, None])
        return _scatter_rows(positions, taken, tf.shape(tokens))

    def _choose_words(self, tokens: tf.Tensor, candidates: tf.Tensor, wanted: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        """Whole words in random order; a word that would exceed the number is skipped, as in the original."""
        suffixes = tf.gather(self._is_suffix(), tokens)
        # A word starts at each candidate that is not a suffix, or whose predecessor is not a candidate.
        after_candidate = tf.pad(candidates, [[0, 0], [1, 0]])[:, :-1]
        starts = candidates & ~(suffixes & after_candidate)  # [B, T]
        words = tf.cumsum(tf.cast(starts, tf.int32), axis=1)  # number of the word, from 1, at each of its pieces
        width = tf.shape(tokens)[1]
        shape = tf.stack([tf.shape(tokens)[0], width + 1])
        sizes = _scatter_add(words, tf.cast(candidates, tf.int32), shape)[:, 1:]  # [B, T], 0 where there is no word
        by_word = tf.argsort(-tf.where(starts, order, -1.0), axis=1, stable=True)  # positions of starts, random order
        word_order = tf.gather(words, by_word, batch_dims=1) - 1  # [B, T]
        is_word = tf.gather(starts, by_word, batch_dims=1)
        sizes_in_order = tf.where(is_word, tf.gather(sizes, tf.maximum(word_order, 0), batch_dims=1), 0)
        taken = self._take_in_order(sizes_in_order, wanted)
        chosen_words = _scatter_add(tf.where(taken, word_order + 1, 0), tf.cast(taken, tf.int32), shape) > 0
        return candidates & tf.gather(chosen_words, words, batch_dims=1)

    @staticmethod
    def _take_in_order(sizes: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        """Goes through each row's sizes from the left and takes each one that still fits. Zeros are never taken.

        Each round takes all sizes up to the first one that no longer fits, and then keeps only sizes within the
        remaining room. Each round reduces the room, so a few rounds are enough.
        """

        def one_round(taken: tf.Tensor, alive: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            alive = alive & (sizes <= left[:, None])
            running = tf.cumsum(tf.where(alive, sizes, 0), axis=1)
            fits = alive & (running <= left[:, None])
            over = alive & ~fits
            after_first_over = over & (tf.cumsum(tf.cast(over, tf.int32), axis=1) > 1)
            return taken | fits, after_first_over, left - tf.reduce_sum(tf.where(fits, sizes, 0), axis=1)

        start = (tf.zeros_like(sizes, tf.bool), sizes > 0, wanted)
        return tf.while_loop(lambda taken, alive, left: tf.reduce_any(alive), one_round, start)[0]

    def _is_suffix(self) -> tf.Tensor:
        """Whether each piece of the vocabulary continues a word: bool [V]."""
        return tf.constant([piece.startswith(SUFFIX_MARK) for piece in self.vocabulary.pieces])

    def _replacements(self, tokens: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """The replacement for each position, if it is chosen: [B, T]."""
        kind = _random(key, tokens, _KIND)
        pieces = tf.cast(_random(key, tokens, _PIECE) * self.vocabulary.size, tf.int32)
        kept_or_random = tf.where(kind < self.mask_share + self.random_share, pieces, tokens)
        return tf.where(kind < self.mask_share, self.vocabulary.mask_id, kept_or_random)

    def _chosen_positions(self, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns each row's chosen positions, ascending and zero-padded: int32 [B, P], and weights float32 [B, P]."""
        width = tf.shape(chosen)[1]
        count = tf.minimum(self.max_predictions, width)
        rank = tf.where(chosen, width - tf.range(width), 0)  # the leftmost ranks highest
        best = tf.math.top_k(rank, k=count).values
        best = tf.pad(best, [[0, 0], [0, self.max_predictions - count]])
        best = tf.ensure_shape(best, [None, self.max_predictions])
        return tf.where(best > 0, width - best, 0), tf.cast(best > 0, tf.float32)


def _scatter_rows(positions: tf.Tensor, taken: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """True at `positions` [B, k] where `taken`: bool [B, T]."""
    return _scatter_add(positions, tf.cast(taken, tf.int32), shape) > 0


def _scatter_add(columns: tf.Tensor, values: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Sums `values` [B, k] into the `columns` [B, k] of a zero int32 tensor of `shape` [B, n]."""
    rows = tf.broadcast_to(tf.range(tf.shape(columns)[0])[:, None], tf.shape(columns))
    return tf.scatter_nd(tf.stack([rows, columns], axis=-1), values, shape)


def _with_column(tokens: tf.Tensor) -> tf.Tensor:
    """Adds a column of zeros, so position 0 can be gathered from rows of length 0."""
    return tf.pad(tokens, [[0, 0], [0, 1]])


def _seed_key(seed: Any) -> tf.Tensor:
    """Two integers -> one uint64 key."""
    words = tf.bitcast(tf.cast(tf.ensure_shape(tf.convert_to_tensor(seed), [2]), tf.int64), tf.uint64)
    return _mixed(_mixed(words[0]) + words[1])


def _random(key: tf.Tensor, tokens: tf.Tensor, stream: int) -> tf.Tensor:
    """Uniform float32 numbers in [0, 1) like `tokens` [B, T], each a function of key, stream, row and column only.

    TensorFlow's stateless generators number the elements of a whole tensor, so a row's numbers would change with the
    length of the batch's longest row. Instead, this is splitmix64 (Steele et al. 2014) over a counter for each
    position.
    """
    rows = tf.cast(tf.range(tf.shape(tokens)[0]), tf.uint64)[:, None]
    columns = tf.cast(tf.range(tf.shape(tokens)[1]), tf.uint64)[None, :]
    row_keys = _mixed(key + _mixed(rows * 4 + stream))
    bits = _mixed(row_keys + columns)
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(40, tf.uint64)), tf.float32) * 2.0**-24


def _mixed(values: tf.Tensor) -> tf.Tensor:
    """The output function of splitmix64, on uint64."""
    values = values * tf.constant(0x9E3779B97F4A7C15, tf.uint64) + tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        shifted = tf.bitwise.right_shift(values, tf.constant(shift, tf.uint64))
        values = tf.bitwise.bitwise_xor(values, shifted) * tf.constant(factor, tf.uint64)
    return tf.bitwise.bitwise_xor(values, tf.bitwise.right_shift(values, tf.constant(31, tf.uint64)))
