"""Leiden communities."""

import random

import igraph
import numpy as np
import pytest

from triptych.clusterers.leiden import Leiden
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
