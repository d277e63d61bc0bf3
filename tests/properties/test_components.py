"""What must hold for any numbers."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from triptych.clusterers.door import by_size
from triptych.core.protocols import Places
from triptych.maths.counts import mean_variance, normalised
from triptych.maths.graphs import averaging, nearest_places
from triptych.maths.silhouette import silhouettes
from triptych.maths.variable_genes import loess
from triptych.metrics import registry
from triptych.refiners.majority import Majority

quick = settings(max_examples=40, deadline=None)
codes = arrays(np.int64, st.integers(2, 40), elements=st.integers(0, 6))
counts = arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 8)), elements=st.integers(0, 1000))
seeds = st.integers(0, 2**32 - 1)


def scatter(n, seed, sections=2):
    rng = np.random.default_rng(seed)
    return Places(rng.integers(0, 5, (n, 2)).astype(float), rng.integers(0, sections, n))


@quick
@given(codes)
def test_renumbering_keeps_the_partition(labels):
    found = by_size(labels)
    assert np.array_equal(found[:, None] == found, labels[:, None] == labels)
    assert (np.diff(np.bincount(found)) <= 0).all()
    assert np.array_equal(by_size(found), found)


@quick
@given(codes, seeds)
@pytest.mark.parametrize("name", ["ari", "nmi", "ami"])
def test_agreement_is_symmetric_and_at_most_one(name, labels, seed):
    metric, other = registry.make(name), np.random.default_rng(seed).integers(0, 4, len(labels))
    assert metric.score(labels, labels) == pytest.approx(1)
    found = metric.score(labels, other)
    assert found == pytest.approx(metric.score(other, labels), abs=1e-9)
    assert found <= 1 + 1e-9


@quick
@given(codes, seeds)
def test_homogeneity_and_completeness_mirror_each_other(labels, seed):
    other = np.random.default_rng(seed).integers(0, 4, len(labels))
    one = registry.make("homogeneity").score(labels, other)
    assert one == pytest.approx(registry.make("completeness").score(other, labels), abs=1e-12)
    assert -1e-12 <= one <= 1


@quick
@given(counts)
def test_moments_of_any_counts(dense):
    mean, variance = mean_variance(sp.csr_matrix(dense))
    assert np.allclose(mean, dense.mean(axis=0))
    assert np.allclose(variance, dense.var(axis=0, ddof=1) if len(dense) > 1 else 0)


@quick
@given(counts.filter(lambda dense: dense.any()), st.integers(2, 9))
def test_normalising_forgets_depth(dense, depth):
    one, other = (normalised(sp.csr_matrix(x), 100.0).toarray() for x in (dense, depth * dense))
    assert np.allclose(one, other)
    assert np.isfinite(one).all()


@quick
@given(st.integers(1, 40), st.integers(1, 12), seeds)
def test_neighbours_of_any_places(n, neighbours, seed):
    places = scatter(n, seed)
    graph = nearest_places(places, neighbours)
    size = np.bincount(places.sample)[places.sample]
    assert (np.diff(graph.indptr) == np.minimum(size, neighbours)).all()
    assert (graph.diagonal() == 1).all()
    assert (places.sample[graph.nonzero()[0]] == places.sample[graph.nonzero()[1]]).all()
    assert np.allclose(averaging(places, neighbours) @ np.ones(n), 1)


@quick
@given(codes, seeds)
def test_a_vote_is_equivariant_to_growth_and_shift(labels, seed):
    places = scatter(len(labels), seed)
    moved = Places(places.um * 4 + 64, places.sample)
    assert np.array_equal(Majority().refine(labels, places), Majority().refine(labels, moved))


@quick
@given(codes.filter(lambda labels: len(np.unique(labels)) > 1), seeds, st.floats(0.1, 10))
def test_silhouettes_ignore_scale_and_shift(labels, seed, scale):
    x = np.random.default_rng(seed).normal(size=(len(labels), 3))
    labels = np.unique(labels, return_inverse=True)[1]
    found = silhouettes(x, labels)
    assert np.allclose(found, silhouettes(x * scale + 5, labels), atol=1e-6)
    assert (np.abs(found) <= 1 + 1e-9).all()


@quick
@given(st.integers(1, 60), seeds, st.tuples(*[st.floats(-2, 2)] * 3))
def test_a_local_quadratic_keeps_a_quadratic(n, seed, curve):
    x = np.random.default_rng(seed).uniform(-3, 2, n)
    assert np.allclose(loess(x, np.polyval(curve, x), span=1.0), np.polyval(curve, x), atol=1e-6)
