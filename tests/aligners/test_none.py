"""The control changes nothing."""

import numpy as np

from triptych.aligners.none import Unaligned


def test_nothing_changes(rng):
    x = rng.normal(size=(5, 2))
    assert np.array_equal(Unaligned().align(x, np.arange(5), rng), x)
