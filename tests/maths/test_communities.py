"""Leiden communities: blocks of a graph, the same for the same seed, whoever else draws."""

import igraph
import numpy as np
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

from triptych.maths.communities import leiden


def blocks(rng, sizes=(50, 30, 20)):
    truth = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.where(truth[:, None] == truth, 0.4, 0.01)
    upper = np.triu(rng.random(chance.shape) < chance, 1)
    return sp.csr_matrix((upper | upper.T).astype(float)), truth


def test_blocks_are_found_and_numbered_by_size(rng):
    graph, truth = blocks(rng)
    codes = leiden(graph, 1.0, 3)
    assert adjusted_rand_score(truth, codes) > 0.95
    assert (np.diff(np.bincount(codes)) <= 0).all()


def test_the_same_seed_gives_the_same_codes_whatever_igraph_did_before(rng):
    graph, _ = blocks(rng)
    first = leiden(graph, 2.0, 3)
    igraph.Graph.Erdos_Renyi(n=20, p=0.5)
    np.testing.assert_array_equal(leiden(graph, 2.0, 3), first)


def test_a_graph_without_edges_falls_apart():
    assert sorted(leiden(sp.csr_matrix((4, 4)), 1.0, 0)) == [0, 1, 2, 3]


def test_weights_count():
    pairs = np.array([[0, 9, 1, 1], [9, 0, 1, 1], [1, 1, 0, 9], [1, 1, 9, 0]], float)
    assert leiden(sp.csr_matrix(pairs), 1.0, 0).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
