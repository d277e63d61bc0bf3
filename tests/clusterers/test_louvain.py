"""Louvain communities, and as many communities as are wanted."""

import random

import numpy as np
import pytest

from triptych.clusterers.choosing import Choosing
from triptych.clusterers.communities import neighbour_graph
from triptych.clusterers.communities_count import counted
from triptych.clusterers.leiden import Leiden
from triptych.clusterers.louvain import Louvain
from triptych.core.errors import DataError, RecipeError, TriptychWarning

BOTH = pytest.mark.parametrize("kind", [Leiden, Louvain])


@pytest.mark.parametrize("weights", ["jaccard", "one"])
def test_groups_are_found_by_falling_size(groups, rng, weights):
    x, truth = groups
    found = Louvain(resolution=0.3, weights=weights, neighbours=20).cluster(x, rng)
    assert np.array_equal(found, truth)


def test_resolution_decides_how_many(rng):
    x = rng.normal(size=(300, 3))
    few, many = (Louvain(resolution=r).cluster(x, rng).max() for r in (0.3, 3.0))
    assert few < many


def test_modularity_is_that_of_networkx(rng):
    nx = pytest.importorskip("networkx")
    x = rng.normal(size=(120, 3))
    graph, _ = neighbour_graph(x, 10, "one")
    theirs = nx.Graph(graph.get_edgelist())
    best = nx.community.modularity(theirs, nx.community.louvain_communities(theirs, seed=0))
    ours = Louvain(neighbours=10, weights="one").cluster(x, rng)
    parts = [set(np.flatnonzero(ours == code).tolist()) for code in np.unique(ours)]
    assert nx.community.modularity(theirs, parts) == pytest.approx(best, abs=0.03)


def test_the_generators_of_others_are_left_alone(groups):
    random.seed(4)
    state = random.getstate()
    Louvain().cluster(groups[0], np.random.default_rng(0))
    assert random.getstate() == state


@BOTH
@pytest.mark.parametrize("k", [1, 2, 3, 5, 9, 20])
def test_as_many_communities_as_are_wanted(kind, k, rng):
    x = rng.normal(size=(400, 4))
    found = kind(k=k).cluster(x, rng)
    assert np.array_equal(np.unique(found), np.arange(k))


@BOTH
def test_a_number_that_no_resolution_gives_is_replaced_by_the_nearest(kind, rng):
    x = rng.normal(0, 0.1, (90, 2)) + 100 * np.repeat(np.arange(3), 30)[:, None]  # three graphs apart
    with pytest.warns(TriptychWarning, match="no resolution tried gives 2 clusters; there are 3, at resolut"):
        found = kind(k=2, neighbours=8).cluster(x, rng)
    assert len(np.unique(found)) == 3


@BOTH
def test_the_model_keeps_the_number(kind, rng):
    x = rng.normal(size=(300, 3))
    value, model = kind(k=6).fit(x, rng)
    assert model.component == kind(k=6)
    assert set(model.apply(x)) == set(value)


@BOTH
def test_without_a_number_the_resolution_decides(kind, rng):
    x = rng.normal(size=(200, 3))
    one, other = (kind(resolution=0.5).cluster(x, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, other)


@BOTH
@pytest.mark.parametrize("criterion", ["bic", "stability"])
def test_no_criterion_chooses_the_number(kind, criterion):
    with pytest.raises(RecipeError, match=f"{kind.__name__}: it finds the number of its communities itself"):
        Choosing(kind(), criterion)


@pytest.mark.parametrize("k", [1, 2, 7, 40, 100])
def test_the_search_meets_every_number_of_a_staircase(k, rng):
    def stairs(resolution, _seed):
        return np.arange(100) % int(np.clip(np.ceil(10 * resolution), 1, 100))

    assert len(np.unique(counted("louvain", stairs, k, 1.0, rng))) == k


def test_the_search_ends_where_nothing_changes(rng):
    tried = []

    def stuck(resolution, _seed):
        tried.append(resolution)
        return np.arange(10) % 4

    with pytest.warns(TriptychWarning, match="louvain: no resolution tried gives 9 clusters; there are 4"):
        counted("louvain", stuck, 9, 1.0, rng)
    assert len(tried) < 15


@BOTH
def test_what_makes_no_graph_is_refused(kind, rng):
    name = kind.__name__.lower()
    with pytest.raises(DataError, match=f"{name}: one observation has no neighbours"):
        kind().cluster(np.zeros((1, 2)), rng)
    with pytest.raises(DataError, match=f"{name}: 9 clusters cannot be made of 4 observations"):
        kind(k=9).cluster(rng.normal(size=(4, 2)), rng)


@BOTH
@pytest.mark.parametrize("params", [{"resolution": 0.0}, {"neighbours": 0}, {"k": -1}])
def test_parameters_out_of_range(kind, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        kind(**params)
