"""What clusterers by communities share: graphs from one search, votes, and partitions that agree."""

from itertools import combinations

import igraph
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from triptych.clusterers import communities
from triptych.clusterers.communities import NeighbourGraphs, nearest_labels, neighbour_graph
from triptych.clusterers.communities_consensus import _held, _nearest, _share, agreed
from triptych.clusterers.leiden import Leiden
from triptych.core.errors import DataError, TriptychWarning

TWO = [0, 0, 0, 1, 1, 1]


@pytest.fixture
def overlapping(rng):
    """Twelve groups that reach into each other."""
    return rng.normal(size=(600, 6)) + 1.2 * rng.normal(size=(12, 6))[rng.integers(0, 12, 600)]


@pytest.fixture
def bridge():
    """Two triangles and an edge between them."""
    return igraph.Graph(n=6, edges=[(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5)])


@pytest.mark.parametrize("d", [3, 20])  # searched by a tree, and by all pairs
@pytest.mark.parametrize("weights", ["jaccard", "one"])
@pytest.mark.parametrize("neighbours", [1, 5, 12])
def test_a_graph_cut_down_is_that_of_a_search_of_its_own(rng, d, weights, neighbours):
    x = rng.normal(size=(150, d))
    cut, cut_weights = NeighbourGraphs.of(x, 12, weights).graph(neighbours)
    own, own_weights = neighbour_graph(x, neighbours, weights)
    assert cut.get_edgelist() == own.get_edgelist()
    assert cut_weights == own_weights


def test_a_graph_joins_the_nearest_rows(rng):
    x = rng.normal(size=(40, 3))
    graph, weights = neighbour_graph(x, 4, "jaccard")
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    near = [set(row[:5].tolist()) for row in np.argsort(distance, axis=1)]  # itself among them
    edges = {(i, j) for i in range(40) for j in near[i] | {k for k in range(40) if i in near[k]} if i < j}
    assert set(graph.get_edgelist()) == edges
    for (i, j), weight in zip(graph.get_edgelist(), weights, strict=True):
        assert weight == pytest.approx(len(near[i] & near[j]) / len(near[i] | near[j]))


def test_labels_of_the_nearest_come_block_by_block(rng, monkeypatch):
    monkeypatch.setattr(communities, "ROWS", 8)
    space, labels = rng.normal(size=(30, 2)).astype(np.float32), np.arange(30)
    blocks = list(nearest_labels(space, labels, space, 99))
    assert [block.shape for block in blocks] == [(8, 30)] * 3 + [(6, 30)]
    assert np.array_equal(np.concatenate(blocks)[:, 0], labels)


def test_shares_are_those_of_a_loop(rng):
    found = [rng.integers(0, 3, 20) for _ in range(7)]
    ends = np.array([pair for pair in combinations(range(20), 2) if sum(pair) % 3])
    wanted = [sum(codes[i] == codes[j] for codes in found) / 7 for i, j in ends]
    assert _share(found, ends) == pytest.approx(wanted)


def test_weak_edges_drop_but_no_node_is_left_alone(bridge):
    ends = np.array(bridge.get_edgelist())
    share = np.array([0.4, 0.2, 0.6, 0.3, 0.1, 0.5, 0.0])
    graph, weights = _held(bridge, ends, share)
    # Node 0 keeps 0-1 and node 4 keeps 3-4, the strongest that they have; 3-5 holds with just a half.
    assert graph.get_edgelist() == [(0, 1), (1, 2), (3, 4), (3, 5)]
    assert weights == [0.4, 0.6, 0.1, 0.5]
    assert _held(bridge, ends, np.zeros(7))[0].ecount() == 0


def test_partitions_are_drawn_on_what_the_others_hold_together(bridge):
    seen = []

    def stub(graph, weights, seed):
        seen.append((graph.ecount(), min(weights)))
        return np.array(TWO if graph.ecount() == 6 or seed else [0, 0, 0, 0, 1, 1])

    found = agreed("leiden", bridge, [1.0] * 7, stub, [0, 1, 2])
    assert found.tolist() == TWO
    assert (
        seen == [(7, 1.0)] * 3 + [(6, pytest.approx(2 / 3))] * 3
    )  # the bridge, held by one in three, is gone


def test_partitions_that_agree_at_once_are_taken(bridge):
    calls = []
    agreed("leiden", bridge, [1.0] * 7, lambda *given: calls.append(given) or np.array(TWO), [0, 1])
    assert len(calls) == 2


def test_partitions_that_never_agree_are_told(bridge):
    def stubborn(_graph, _weights, seed):
        return np.array([[0, 0, 1, 1, 1, 1], TWO, [0, 0, 0, 0, 1, 1]][seed])

    with pytest.warns(TriptychWarning, match="leiden: after 10 rounds the 3 partitions still differ"):
        found = agreed("leiden", bridge, [1.0] * 7, stubborn, [0, 1, 2])
    assert found.tolist() == TWO


def test_the_nearest_partition_agrees_with_most():
    ends = np.array([(0, 1), (1, 2), (2, 3)])
    found = [np.array(codes) for codes in ([0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0])]
    assert _nearest(found, ends) is found[1]


def test_seeds_agree_more_by_consensus(overlapping):
    def agreement(consensus):
        clusterer = Leiden(consensus=consensus)
        found = [clusterer.cluster(overlapping, np.random.default_rng(seed)) for seed in range(4)]
        return np.mean([adjusted_rand_score(*pair) for pair in combinations(found, 2)])

    assert agreement(20) > agreement(0) + 0.05


def test_a_consensus_is_repeatable_and_leaves_clear_groups(groups):
    x, truth = groups
    clusterer = Leiden(resolution=0.3, neighbours=20, consensus=4)
    one, two = (clusterer.fit(x, np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(one.value, truth)
    assert np.array_equal(one.value, two.value)
    assert one.model.component == clusterer
    assert one.model.chosen == {}


def test_what_makes_no_graph_is_refused_by_a_consensus_too(rng):
    with pytest.raises(DataError, match="leiden: one observation has no neighbours"):
        Leiden(consensus=3).cluster(np.zeros((1, 2)), rng)
