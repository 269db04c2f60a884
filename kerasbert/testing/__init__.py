"""Checks of the rules that all layers and models of kerasbert follow, which you can also run on your own layers.

One call in a test finds a layer that cannot be restored from its config, mixes up the rows of a batch or fails in half
precision. The checks do not know what a layer computes: test that separately.
"""

from kerasbert.testing.contracts import check_layer, check_model

__all__ = ["check_layer", "check_model"]
