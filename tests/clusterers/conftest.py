"""Three groups of different size and shape."""

import numpy as np
import pytest


@pytest.fixture
def groups(rng):
    truth = rng.permutation(np.repeat([0, 1, 2], [100, 60, 40]))
    x = rng.normal(size=(200, 4)) * [1, 1, 1, 0.2] + 8 * np.eye(4)[truth]
    return x, truth
