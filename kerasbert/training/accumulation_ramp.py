"""A batch size that grows at the beginning of a run: more and more batches are averaged for one update.

Early in training, gradients of small batches already agree, and many updates do more than accurate ones (Smith et al.
2018, "Don't decay the learning rate, increase the batch size"; Brown et al. 2020, appendix B). The batches themselves
keep their size, so that nothing is compiled again.
"""

import dataclasses
from typing import Any

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class AccumulationRamp:
    """The number of batches per update rises to `accumulation_steps`, through the numbers that divide it.

    Each number has an equal share of `ramp_steps`, rounded to whole updates.

    Attributes:
        accumulation_steps: batches per update after the ramp.
        ramp_steps: batches of the ramp. With 0, there is no ramp.

    Raises:
        ValueError: `accumulation_steps` is less than 1, `ramp_steps` is negative, or there is nothing to rise to.

    Example:
        >>> ramp = AccumulationRamp(accumulation_steps=4, ramp_steps=8)
        >>> ramp.stages  # 4 updates of 1 batch, 2 updates of 2 batches, and the rest of 4 batches
        ((1, 4), (2, 2))
        >>> ramp.updates(16), AccumulationRamp(4, 0).updates(16)
        (8, 4)
    """

    accumulation_steps: int
    ramp_steps: int

    def __post_init__(self) -> None:
        if self.accumulation_steps < 1:
            raise ValueError(
                "`accumulation_steps` must be at least 1. "
                f"Received: accumulation_steps={self.accumulation_steps}. It is the number of batches per update."
            )
        if self.ramp_steps < 0 or (self.ramp_steps > 0 and self.accumulation_steps == 1):
            raise ValueError(
                "`ramp_steps` must be 0 or more, and 0 with a single batch per update. Received: "
                f"ramp_steps={self.ramp_steps} with accumulation_steps={self.accumulation_steps}. "
                "For example, `accumulation_steps=8`, or remove `ramp_steps`."
            )

    @property
    def stages(self) -> tuple[tuple[int, int], ...]:
        """(batches per update, number of updates) of each stage before the last, which never ends."""
        sizes = [size for size in range(1, self.accumulation_steps) if self.accumulation_steps % size == 0]
        stages, batches = [], 0
        for number, size in enumerate(sizes if self.ramp_steps else [], start=1):
            updates = max(0, round((self.ramp_steps * number / len(sizes) - batches) / size))
            stages.append((size, updates))
            batches += size * updates
        return tuple(stages)

    def updates(self, steps: int) -> int:
        """Return the number of updates in a run of `steps` batches."""
        done = 0
        for size, updates in self.stages:
            if steps < size * updates:
                return done + steps // size
            done, steps = done + updates, steps - size * updates
        return done + steps // self.accumulation_steps

    def weight_of_batch(self, update: Any) -> Any:
        """Return accumulation_steps / (batches of update number `update`, counted from 0), an int32 scalar tensor."""
        sizes, updates = zip(*self.stages, (self.accumulation_steps, 0), strict=True)
        weights = ops.convert_to_tensor([self.accumulation_steps // size for size in sizes], "int32")
        ends = ops.convert_to_tensor(np.cumsum(updates[:-1]), "int32")
        return ops.take(weights, ops.sum(ops.cast(ops.cast(update, "int32") >= ends, "int32")))
