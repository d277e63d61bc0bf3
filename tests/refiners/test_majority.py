"""The vote against scikit-learn and against a loop."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.refiners import majority
from triptych.refiners.majority import Majority


@pytest.fixture
def places(rng):
    return Places(rng.uniform(0, 1000, (120, 2)), rng.permutation(np.repeat([0, 1, 2], [80, 35, 5])))


def loop(labels, places, count):
    found = labels.copy()
    for i in range(len(labels)):
        same = np.flatnonzero(places.sample == places.sample[i])
        near = same[np.argsort(np.linalg.norm(places.um[same] - places.um[i], axis=1))[:count]]
        codes, votes = np.unique(labels[near], return_counts=True)
        best = codes[votes == votes.max()]
        found[i] = labels[i] if labels[i] in best else best[0]
    return found


@pytest.mark.parametrize("count", [1, 4, 10, 200])
@pytest.mark.parametrize("rows", [4096, 7])
def test_the_vote_is_that_of_a_loop(places, rng, count, rows, monkeypatch):
    monkeypatch.setattr(majority, "ROWS", rows)
    labels = rng.choice([0, 2, 3, 50], 120)
    assert np.array_equal(Majority(neighbours=count).refine(labels, places), loop(labels, places, count))


def test_the_vote_is_that_of_scikit_learn_where_nothing_ties(rng):
    um, labels = rng.uniform(size=(200, 2)), rng.integers(0, 2, 200)
    model = KNeighborsClassifier(n_neighbors=9).fit(um, labels)
    assert np.array_equal(
        Majority(neighbours=9).refine(labels, Places(um, np.zeros(200, int))), model.predict(um)
    )


def test_a_tie_keeps_ones_own_label_else_takes_the_smallest():
    um = np.array([[0.0, 0], [1, 0], [2.1, 0], [3.3, 0], [4.6, 0]])
    own = Majority(neighbours=2).refine(np.array([5, 3, 5, 3, 5]), Places(um, np.zeros(5, int)))
    assert own.tolist() == [5, 3, 5, 3, 5]
    other = Majority(neighbours=5).refine(np.array([7, 4, 4, 3, 3]), Places(um, np.zeros(5, int)))
    assert other.tolist() == [3, 4, 4, 3, 3]


def test_one_outlier_is_outvoted(places):
    labels = np.zeros(120, int)
    labels[3] = 1
    assert (Majority().refine(labels, places)[places.sample == places.sample[3]] == 0).all()


def test_all_faults_are_told_together(places):
    with pytest.raises(DataError) as caught:
        Majority().refine(np.array([0, -1]), places)
    assert "2 labels but 120 places" in str(caught.value)
    assert "some labels are missing" in str(caught.value)


def test_parameters_out_of_range():
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        Majority(neighbours=0)
