"""Jaccard index of matched types: against all assignments, values by hand, and what is refused."""

from itertools import permutations

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.metrics.jaccard import JaccardIndex


def score(truth, guess):
    return JaccardIndex().score(np.asarray(truth), np.asarray(guess))


def test_values_by_hand():
    # type 0 has cluster 0 (2 of 3 | 3) and type 1 cluster 1 (2 of 4); type 2 has none
    assert score([0, 0, 0, 1, 1, 1, 2], [0, 0, 1, 1, 1, 1, 1]) == pytest.approx((2 / 3 + 3 / 5 + 0) / 3)
    assert score([5, 5, 9, 9], [3, 3, 0, 0]) == 1.0
    assert score([0, 0, 1], [0, 0, 0]) == pytest.approx((2 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clusters", [3, 4, 6])
def test_the_best_of_all_assignments(seed, clusters):
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, 4, 50), rng.integers(0, clusters, 50)
    index = np.zeros((4, max(4, clusters)))
    for t in range(4):
        for c in range(clusters):
            index[t, c] = ((truth == t) & (guess == c)).sum() / ((truth == t) | (guess == c)).sum()
    best = max(
        sum(index[t, c] for t, c in enumerate(order)) for order in permutations(range(index.shape[1]), 4)
    )
    assert score(truth, guess) == pytest.approx(best / 4)


def test_overlap_and_index_may_match_otherwise():
    # by overlap cluster 0 is type 0, with 3 shared; but most of cluster 0 is elsewhere
    truth = [0] * 5 + [1] * 10
    guess = [0] * 3 + [1] * 2 + [0] * 7 + [2] * 3
    assert score(truth, guess) == pytest.approx((2 / 5 + 7 / 13) / 2)


def test_missing_labels_are_refused():
    with pytest.raises(DataError, match="jaccard: 1 guesses are missing"):
        score([0, 1], [0, -1])
    with pytest.raises(DataError, match="jaccard: 2 true labels but 1 guesses"):
        score([0, 1], [0])
