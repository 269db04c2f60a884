"""The mean over real tokens, scaled to length 1, for libraries that leave the pooling to their users."""

from typing import Any


def pool(states: Any, mask: Any) -> Any:
    """Return the unit vectors of some texts.

    Args:
        states: hidden states `[B, T, H]`, an array of NumPy or a tensor of PyTorch.
        mask: 1 for real tokens and 0 for padding, `[B, T]`, of the same kind and type.

    Returns:
        `[B, H]`
    """
    sums = (states * mask[:, :, None]).sum(1)  # [B, T, H] -> [B, H]
    # The length of a vector does not depend on the number of tokens that the sum is divided by.
    return sums / ((sums * sums).sum(1) ** 0.5)[:, None]
