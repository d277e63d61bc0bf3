"""Sparse kernels against dense ones."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.maths.counts import (
    checked,
    detected_in,
    logged,
    mean_variance,
    median_total,
    normalised,
    scaled,
    spread,
)


@pytest.fixture
def counts(rng):
    dense = rng.poisson(0.8, (40, 12))
    dense[5] = 0
    dense[:, 3] = 0
    return sp.csr_matrix(dense)


def test_totals_become_the_median_of_those_above_zero(counts):
    totals = counts.toarray().sum(axis=1)
    found = normalised(counts).toarray().sum(axis=1)
    assert np.allclose(np.delete(found, 5), np.median(totals[totals > 0]))
    assert found[5] == 0


def test_totals_become_the_target(counts):
    assert np.allclose(np.delete(normalised(counts, 1e4).toarray().sum(axis=1), 5), 1e4)


def test_the_median_of_the_totals_leaves_out_zeros(counts):
    totals = counts.toarray().sum(axis=1)
    assert median_total(counts) == np.median(totals[totals > 0])
    with pytest.raises(DataError, match="No observation has any count of the genes in use"):
        median_total(sp.csr_matrix((3, 3)))


def test_a_spread_applies_to_other_observations(counts):
    deviation, ceiling = spread(counts[:20], 2.0)
    found = scaled(counts[20:], deviation, ceiling).toarray()
    assert np.allclose(found, np.minimum(counts[20:].toarray(), ceiling) / deviation)


def test_logarithm(counts):
    assert np.allclose(logged(counts).toarray(), np.log1p(counts.toarray()))


def test_moments(counts):
    counts.data = counts.data + 1e6  # where a sum of squares would lose the variance
    mean, variance = mean_variance(counts)
    assert np.allclose(mean, counts.toarray().mean(axis=0))
    assert np.allclose(variance, counts.toarray().var(axis=0, ddof=1), rtol=1e-9)


def test_scaling_clips_above_as_on_centred_values(counts):
    x = counts.toarray().astype(float)
    std = x.std(axis=0, ddof=1)
    std[std == 0] = 1
    expected = np.minimum((x - x.mean(axis=0)) / std, 1.5)
    found = scaled(counts, *spread(counts, 1.5)).toarray()
    assert np.allclose(found - x.mean(axis=0) / std, expected)
    assert (found <= x / std + 1e-12).all()
    assert np.allclose(scaled(counts, *spread(counts, 0)).toarray(), x / std)


def test_detection_does_not_count_stored_zeros():
    matrix = sp.csr_matrix(([1, 0, 2], ([0, 0, 1], [0, 1, 0])), shape=(2, 2))
    assert detected_in(matrix).tolist() == [2, 0]


def test_all_faults_of_counts_are_told_together():
    with pytest.raises(DataError) as caught:
        checked(sp.csr_matrix([[np.nan, -1.0]]))
    assert "some values are not finite" in str(caught.value)
    assert "some values are negative" in str(caught.value)
    assert "Pass the raw counts" in str(caught.value)


def test_an_empty_matrix_is_refused():
    with pytest.raises(DataError, match="the matrix is empty: 0 observations × 3 genes"):
        checked(sp.csr_matrix((0, 3)))


def test_counts_of_nothing_are_refused():
    with pytest.raises(DataError, match="No observation has any count of the genes in use"):
        normalised(sp.csr_matrix((3, 3)))


def test_values_stored_twice_are_added_without_writing_to_the_input():
    matrix = sp.csr_matrix((np.array([1, 2]), np.array([0, 0]), np.array([0, 2])), shape=(1, 2))
    assert checked(matrix).data.tolist() == [3]
    assert matrix.data.tolist() == [1, 2]
