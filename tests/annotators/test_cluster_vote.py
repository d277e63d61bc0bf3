"""Cluster votes: all cells of a cluster alike, by the mean of what they say; the same for the same seed."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.annotators import clusters
from triptych.annotators.cluster_vote import ClusterVote
from triptych.annotators.clusters import Clustering, mean_by
from triptych.annotators.marker_score import MarkerScore
from triptych.core.protocols import Counts


def run(counts, markers, seed=0, **params):
    sample = np.zeros(counts.matrix.shape[0], int)
    return ClusterVote(markers, **params).annotate(counts, sample, None, np.random.default_rng(seed))


def test_each_cluster_has_the_mean_of_its_cells(tissue, markers):
    counts, _ = tissue()
    found = run(counts, markers).probabilities
    alone = MarkerScore(markers).annotate(counts, np.zeros(600, int), None, None).probabilities
    codes = ClusterVote(markers).clusters(counts.matrix, np.random.default_rng(0))
    assert codes.max() >= 3
    for code in range(codes.max() + 1):
        mine = codes == code
        expected = (alone[mine].sum(axis=0) + alone.mean(axis=0)) / (mine.sum() + 1)
        np.testing.assert_allclose(found[mine], np.tile(expected, (mine.sum(), 1)))


def test_clusters_are_right_where_single_cells_are_not(tissue, markers):
    counts, truth = tissue(molecules=25)
    found = run(counts, markers, rounds=0)
    alone = MarkerScore(markers, rounds=0).annotate(counts, np.zeros(600, int), None, None)
    right = [(np.array(a.classes)[a.best(0)[0]] == truth).mean() for a in (found, alone)]
    assert right[0] > right[1] + 0.03
    assert right[0] > 0.95


def test_the_same_seed_gives_the_same_bits(tissue, markers):
    counts, _ = tissue()
    np.testing.assert_array_equal(
        run(counts, markers, seed=3).probabilities, run(counts, markers, seed=3).probabilities
    )


def test_of_many_cells_some_are_clustered_and_the_others_join(tissue, monkeypatch, rng):
    counts, truth = tissue(molecules=80)
    monkeypatch.setattr(clusters, "MOST", 200)
    codes = Clustering().clusters(counts.matrix, rng)
    assert (codes >= 0).all()
    purity = sum(np.unique(truth[codes == code], return_counts=True)[1].max() for code in set(codes))
    assert purity / 600 > 0.97


def test_empty_cells_are_in_no_cluster_and_few_cells_in_one(tissue, markers, rng):
    counts, _ = tissue(n=8)
    matrix = counts.matrix.tolil()
    matrix[2] = 0
    assert Clustering().clusters(matrix.tocsr(), rng).tolist() == [0, 0, -1, 0, 0, 0, 0, 0]
    found = run(Counts(matrix.tocsr(), counts.genes, counts.batch), markers)
    assert np.isnan(found.probabilities[2]).all()
    empty = Counts(sp.csr_matrix(matrix.shape), counts.genes, counts.batch)
    assert np.isnan(run(empty, markers).probabilities).all()


def test_means_of_clusters_are_those_of_a_loop(rng):
    codes, values = rng.integers(-1, 3, 50), rng.random((50, 2))
    values[5] = np.nan
    codes[5] = 0
    known = np.isfinite(values).all(axis=1) & (codes >= 0)
    expected = [values[(codes == code) & known].mean(axis=0) for code in range(3)]
    np.testing.assert_allclose(mean_by(codes, values), expected)
    nothing = mean_by(np.array([0, 1]), np.array([[1.0], [np.nan]]))
    np.testing.assert_array_equal(nothing, [[1.0], [np.nan]])


@pytest.mark.parametrize("name", ["components", "neighbours", "resolution"])
def test_parameters_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=name):
        ClusterVote(**{name: 0})
