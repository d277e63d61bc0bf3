"""Consensus of mixtures: distances are shares of disagreement, codes scikit-learn's, domains found."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.fusers.consensus import Consensus, likeliest, side_by_side


@pytest.fixture
def stripes(rng):
    """A square array of three stripes that differ by less than their noise."""
    column, row = (part.ravel() for part in np.meshgrid(np.arange(24), np.arange(24)))
    domain = column // 8
    x = rng.normal(size=(576, 12)) + 1.2 * np.eye(12)[domain]
    um = np.stack([column, row], axis=1) * 100.0
    return x, Places(um, np.zeros(576, int)), domain


def test_half_the_squared_distance_is_the_share_of_mixtures_that_disagree(rng):
    codes = [rng.integers(0, 4, 30) for _ in range(5)]
    joint = side_by_side(codes, 4)
    apart = np.mean([code[:, None] != code[None, :] for code in codes], axis=0)
    squared = ((joint[:, None] - joint[None, :]) ** 2).sum(axis=-1)
    assert np.allclose(squared / 2, apart)


def test_the_likeliest_component_is_scikit_learns(rng):
    x = rng.normal(size=(200, 4)) + 4 * np.eye(4)[rng.integers(0, 3, 200)]
    model = GaussianMixture(3, covariance_type="tied", random_state=0).fit(x)
    found = likeliest(x, model.means_, model.precisions_cholesky_, model.weights_)
    assert np.array_equal(found, model.predict(x))


def test_the_consensus_finds_what_one_unsmoothed_view_does_not(stripes, rng):
    x, places, domain = stripes
    joint = Consensus(clusters=4, columns=(6, 12), n_init=2).fuse({"rna": x}, places, rng)
    assert joint.shape == (576, 2 * 2 * 2 * 4)
    found = KMeans(3, n_init=10, random_state=0).fit_predict(joint)
    alone = KMeans(3, n_init=10, random_state=0).fit_predict(x)
    assert adjusted_rand_score(domain, found) > 0.8
    assert adjusted_rand_score(domain, found) > adjusted_rand_score(domain, alone) + 0.2


def test_a_new_section_gets_the_memberships_of_the_fit(stripes, rng):
    x, places, domain = stripes
    model = Consensus(clusters=4, columns=(6, 12), n_init=2).fit({"rna": x}, places, rng).model
    joint = model.apply({"rna": x}, places)
    new = model.apply(
        {"rna": np.random.default_rng(5).normal(size=x.shape) + 1.2 * np.eye(12)[domain]}, places
    )
    means = KMeans(3, n_init=10, random_state=0).fit(joint)
    assert adjusted_rand_score(domain, means.predict(new)) > 0.8


def test_faults(stripes, rng):
    x, places, _ = stripes
    with pytest.raises(DataError, match="the view rna is sparse"):
        Consensus().fuse({"rna": sp.csr_matrix(x)}, places, rng)
    few = Places(places.um[:5], places.sample[:5])
    with pytest.raises(DataError, match="5 observations are fewer than 8 clusters"):
        Consensus().fuse({"rna": x[:5]}, few, rng)
    with pytest.raises(ValueError, match="rounds must be one or more numbers"):
        Consensus(rounds=())
