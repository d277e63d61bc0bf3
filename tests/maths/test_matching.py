"""Which cluster is which type, against naive loops and all permutations."""

from itertools import permutations

import numpy as np
import pytest

from triptych.maths.matching import by_majority, hits, one_to_one, shared


@pytest.fixture
def labels(rng):
    return rng.integers(-1, 4, 300), rng.integers(-1, 6, 300)


def test_shared_is_the_naive_count(labels):
    truth, guess = labels
    naive = [[((truth == t) & (guess == g)).sum() for g in range(6)] for t in range(4)]
    np.testing.assert_array_equal(shared(truth, guess).toarray(), naive)
    assert shared(truth, guess).dtype == np.int64


def test_nothing_is_shared_by_nobody():
    assert shared(np.array([-1, -1]), np.array([0, 1])).shape == (0, 2)
    assert by_majority(shared(np.array([-1, 0]), np.array([1, -1]))).tolist() == [-1, -1]
    assert one_to_one(shared(np.array([-1, -1]), np.array([0, 1]))).tolist() == [-1, -1]
    assert one_to_one(shared(np.array([], int), np.array([], int))).shape == (0,)


def test_majority_is_the_most_frequent_type(labels):
    table = shared(*labels).toarray()
    found = by_majority(shared(*labels))
    assert all(table[found[cluster], cluster] == table[:, cluster].max() for cluster in range(6))


def test_on_a_tie_the_rarer_type_wins_then_the_first():
    truth = np.array([0, 0, 0, 1, 2, 2, 3, 3])
    guess = np.array([0, 4, 4, 0, 2, 2, 3, 2])
    assert by_majority(shared(truth, guess)).tolist() == [1, -1, 2, 3, 0]
    assert by_majority(shared(np.array([1, 0]), np.array([0, 0]))).tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_one_to_one_is_the_best_of_all_permutations(seed):
    rng = np.random.default_rng(seed)
    truth, guess = 2 * rng.integers(0, 4, 60), 3 * rng.integers(0, 4, 60)  # codes with gaps
    table = shared(truth, guess)
    counts = table.toarray()[::2, ::3]
    best = max(sum(counts[t, g] for g, t in enumerate(order)) for order in permutations(range(4)))
    found = one_to_one(table)
    used = found[found >= 0]
    assert len(np.unique(used)) == len(used)
    assert hits(table, found).sum() == best


def test_clusters_that_share_nothing_with_what_is_left_match_nothing():
    table = shared(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2]))
    assert one_to_one(table).tolist() == [0, -1, 1]


def test_hits_are_the_members_of_clusters_called_after_them(labels):
    truth, guess = labels
    types = np.array([2, 2, -1, 0, 3, 0])
    naive = [((truth == t) & (guess >= 0) & (types[guess] == t)).sum() for t in range(4)]
    assert hits(shared(truth, guess), types).tolist() == naive
