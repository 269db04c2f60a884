"""Masks batches at a rate that changes during a run: many tokens at first, fewer at its end.

For how tokens are chosen, see masking.py.
"""

from typing import Any

import tensorflow as tf

from kerasbert.preprocessing.masking import MaskedLMMasker


class LinearMaskRate:
    """Masks each batch at a rate between that of the first step of a run and that of its last step, on a line.

    The rate depends on the number of the batch only, so a run that continues masks as one that was never interrupted.

    Args:
        masker: masks the batches.
        first: rate of the run's first step.
        last: rate of the run's last step.
        first_step: step of the run, from 0, that trains on batch 0, e.g. the first of a later phase.
        steps: number of steps of the run. Later batches have the rate `last`.

    Source: Ankner et al. 2024, "Dynamic masking rate schedules for MLM pretraining".

    Example:
        >>> from kerasbert.preprocessing import MaskedLMMasker, Vocabulary
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
        >>> mask = LinearMaskRate(MaskedLMMasker(vocabulary, max_predictions=8), first=0.5, last=0.1, steps=5)
        >>> [round(float(mask.rate(batch)), 2) for batch in (0, 2, 4, 9)]
        [0.5, 0.3, 0.1, 0.1]
    """

    def __init__(self, masker: MaskedLMMasker, first: float, last: float, steps: int, first_step: int = 0) -> None:
        self._masker = masker
        self._first, self._last = first, last
        self._first_step, self._steps = first_step, steps

    def rate(self, batch: Any) -> tf.Tensor:
        """Returns the rate of a batch, a float64 scalar."""
        step = tf.cast(batch + self._first_step, tf.float64)
        share = tf.minimum(step / max(1, self._steps - 1), 1.0)
        return self._first + (self._last - self._first) * share

    def __call__(self, token_ids: tf.RaggedTensor, seed: Any) -> dict[str, Any]:
        """Masks a batch.

        Args:
            token_ids: packed rows, ragged integers [B, (T)].
            seed: two integers, the second of which is the number of the batch.
        """
        return self._masker(token_ids, seed=seed, rate=self.rate(seed[1]))
