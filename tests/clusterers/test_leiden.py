"""Leiden communities."""

import random

import igraph
import numpy as np
import pytest
import scipy.sparse as sp

from triptych.clusterers import communities
from triptych.clusterers.leiden import FittedLeiden, Leiden
from triptych.core.errors import DataError


@pytest.mark.parametrize("weights", ["jaccard", "one"])
def test_groups_are_found_by_falling_size(groups, rng, weights):
    x, truth = groups
    found = Leiden(resolution=0.3, weights=weights, neighbours=20).cluster(x, rng)
    assert np.array_equal(found, truth)


def test_resolution_decides_how_many(rng):
    x = rng.normal(size=(300, 3))
    few, many = (Leiden(resolution=r).cluster(x, rng).max() for r in (0.3, 3.0))
    assert few < many


def test_the_generators_of_others_are_left_alone(groups):
    x, _ = groups
    random.seed(4)
    state = random.getstate()
    Leiden(iterations=2).cluster(x, np.random.default_rng(0))
    assert random.getstate() == state
    random.seed(4)
    one = igraph.Graph.Erdos_Renyi(30, 0.3).get_edgelist()
    random.seed(4)
    assert igraph.Graph.Erdos_Renyi(30, 0.3).get_edgelist() == one  # igraph draws from Python's again
    assert random.getstate() != state


def test_fewer_rows_than_neighbours(rng):
    assert len(Leiden().cluster(rng.normal(size=(4, 2)), rng)) == 4


def test_rows_that_coincide(rng):
    assert np.unique(Leiden().cluster(np.zeros((40, 2)), rng)).min() == 0


def test_one_row_is_refused(rng):
    with pytest.raises(DataError, match="one observation has no neighbours"):
        Leiden().cluster(np.zeros((1, 2)), rng)


@pytest.mark.parametrize("clusterer", [Leiden(), Leiden(consensus=2)])
def test_a_sparse_space_is_refused(rng, clusterer):
    with pytest.raises(DataError, match="leiden: the space is sparse. Reduce it first, e.g. encode with pca"):
        clusterer.cluster(sp.csr_matrix(np.eye(9)), rng)


def test_others_are_elected_by_their_nearest_rows(rng, monkeypatch):
    x, others = rng.normal(size=(200, 3)).astype(np.float32), rng.normal(size=(70, 3))
    value, model = Leiden(neighbours=7).fit(x, rng)
    monkeypatch.setattr(communities, "ROWS", 32)
    for row, code in zip(others, model.apply(others), strict=True):
        near = value[np.argsort(np.linalg.norm(x - row.astype(np.float32), axis=1))[:7]]
        votes = np.bincount(near)
        assert code == next(label for label in near if votes[label] == votes.max())


def test_a_tie_goes_to_the_nearest_row():
    space = np.array([[0.0], [1], [2], [9]], np.float32)
    model = FittedLeiden(Leiden(neighbours=4), space, np.array([2, 0, 0, 2]))
    assert model.apply(np.array([[-1.0], [1.2]])).tolist() == [2, 0]


def test_fewer_rows_in_the_fit_than_neighbours(rng):
    model = Leiden().fit(rng.normal(size=(4, 2)), rng).model
    assert len(model.apply(rng.normal(size=(9, 2)))) == 9


def test_a_model_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"labels of shape \(3,\) do not fit a space of \(2, 2\)"):
        FittedLeiden(Leiden(), np.zeros((2, 2), np.float32), np.zeros(3, int))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"resolution": 0.0}, "resolution"),
        ({"neighbours": 0}, "neighbours"),
        ({"iterations": -1}, "iterations"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Leiden(**params)
