"""How many operations the answers to some texts need: the floor under the time of any library."""

import json
from collections.abc import Iterable
from pathlib import Path


def operations(model: Path, lengths: Iterable[int]) -> int:
    """Return the multiplications and additions in the matrix products of an encoder on real tokens.

    Args:
        model: the model folder.
        lengths: the number of tokens of each row.
    """
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    # Query, key, value and output projections, and the two layers of the feed-forward part.
    per_token = 4 * hidden * hidden + 2 * hidden * config["intermediate_size"]
    # Scores, and the weighted sum of values. Each pair of tokens is one product over the hidden size.
    return sum(2 * layers * (length * per_token + 2 * length * length * hidden) for length in lengths)
