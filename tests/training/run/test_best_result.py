"""The monitored metric decides which validation is best."""

import pytest

from kerasbert.errors import BadInputError
from kerasbert.training.run.best_result import BestResult


def test_a_row_without_the_monitored_metric_is_refused():
    with pytest.raises(BadInputError, match=r"Received: metrics \['accuracy'\], without 'loss'"):
        BestResult("loss").update({"phase": "train", "step": 3, "split": "validation", "accuracy": 0.5})
