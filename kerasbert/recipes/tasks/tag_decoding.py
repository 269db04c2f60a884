"""Chooses the best sequence of tags that the tagging scheme allows, instead of the best tag of each word.

Without this, a model may answer "O I-place", which no text of the training data contains.

Shapes: `W` words of a text, `C` labels.
"""

from collections.abc import Sequence

import numpy as np

from kerasbert.data.tables.tag_scheme import BEGINS, FINISHES, parsed_tag
from kerasbert.data.tables.tagged import OUTSIDE

# Lower than any log-probability, but finite: if nothing is allowed, the best sequence is still defined.
_FORBIDDEN = -1e9


class TagScheme:
    """The transitions between tags that BIO, BIOES or BILOU allow, as far as the labels have these prefixes.

    Labels without prefixes, and kinds that never begin with `B-`, `S-` or `U-`, may follow each other freely.

    Args:
        labels: the C labels.

    Example:
        >>> scheme = TagScheme(["B-place", "I-place", "O"])
        >>> scheme.best_path(np.log([[0.1, 0.5, 0.4], [0.1, 0.1, 0.8]])).tolist()
        [2, 2]
    """

    def __init__(self, labels: Sequence[str]) -> None:
        parsed = [parsed_tag(label) for label in labels]
        begun = {kind for prefix, kind in parsed if prefix in BEGINS}
        ended = {kind for prefix, kind in parsed if prefix in FINISHES}
        goes_on = np.array([_goes_on(prefix, kind, begun) for prefix, kind in parsed])
        is_open = np.array([bool(prefix) and prefix not in FINISHES for prefix, _ in parsed])
        must_go_on = is_open & np.array([kind in ended for _, kind in parsed])
        same_kind = np.array([[kind == other != OUTSIDE for _, other in parsed] for _, kind in parsed])
        continues = same_kind & is_open[:, None] & goes_on[None, :]
        self._starts = np.where(goes_on, _FORBIDDEN, 0.0)  # [C]
        self._ends = np.where(must_go_on, _FORBIDDEN, 0.0)  # [C]
        # [C, C], from a tag to the next one
        self._steps = np.where(continues | ~(goes_on[None, :] | must_go_on[:, None]), 0.0, _FORBIDDEN)

    def best_path(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Return the allowed sequence of labels with the highest probability: [W, C] -> int64 [W]."""
        if not len(log_probabilities):
            return np.zeros(0, np.int64)
        scores = log_probabilities[0] + self._starts
        before = []
        for row in log_probabilities[1:]:
            candidates = scores[:, None] + self._steps  # [C, C]
            before.append(candidates.argmax(axis=0))
            scores = candidates.max(axis=0) + row
        path = [int((scores + self._ends).argmax())]
        for choices in reversed(before):
            path.append(int(choices[path[-1]]))
        return np.array(path[::-1], np.int64)


def _goes_on(prefix: str, kind: str, begun: set[str]) -> bool:
    """Return whether a tag needs one before it: `I-`, `E-` or `L-` of a kind that has a tag to begin with."""
    return bool(prefix) and prefix not in BEGINS and kind in begun
