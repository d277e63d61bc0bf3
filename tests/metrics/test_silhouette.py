"""What the mean silhouette refuses."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.metrics.silhouette import Silhouette


@pytest.mark.parametrize("guess", [np.zeros(5, int), np.arange(5)])
def test_too_few_and_too_many_clusters(rng, guess):
    with pytest.raises(DataError, match=r"it needs 2 to n - 1 clusters and there are [15] of 5 observations"):
        Silhouette().score(rng.normal(size=(5, 2)), guess)


def test_all_faults_are_told_together():
    x = np.array([[np.nan], [0], [1], [2]])
    with pytest.raises(DataError) as caught:
        Silhouette().score(x, np.array([0, -1, 1, 0, 1]))
    for words in ("4 rows but 5 guesses", "some guesses are missing", "some values are not finite"):
        assert words in str(caught.value)


def test_codes_need_not_be_consecutive(rng):
    x, guess = rng.normal(size=(30, 2)), np.arange(30) % 3
    assert Silhouette().score(x, guess * 10) == Silhouette().score(x, guess)


def test_block_out_of_range():
    with pytest.raises(ValueError, match="block_mb must be above 0"):
        Silhouette(block_mb=0)
