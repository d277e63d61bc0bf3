"""Criteria for the number of clusters, against plain loops and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from triptych.clusterers.criteria import bic, likelihood, spherical, stability, strength
from triptych.clusterers.gaussian import Gaussian
from triptych.clusterers.kmeans import KMeans


def strength_by_loops(guess, own):
    """Every pair of rows of every cluster."""
    shares = []
    for cluster in sorted(set(own)):
        rows = [i for i in range(len(own)) if own[i] == cluster]
        pairs = [(i, j) for i in rows for j in rows if i != j]
        if pairs:
            shares.append(sum(guess[i] == guess[j] for i, j in pairs) / len(pairs))
    return min(shares, default=0.0)


@pytest.mark.parametrize("k", [1, 3, 7, 40])
def test_strength_against_all_pairs(rng, k):
    guess, own = rng.integers(0, 4, 60), rng.integers(0, k, 60)
    assert strength(guess, own) == pytest.approx(strength_by_loops(guess.tolist(), own.tolist()))


def test_strength_of_the_same_and_of_clusters_of_one():
    codes = np.array([0, 0, 1, 1, 2])
    assert strength(codes, codes) == 1
    assert strength(np.zeros(5, int), codes) == 1
    assert strength(codes, np.arange(5)) == 0


def test_stability_against_loops_over_halves(rng):
    """The same halves and the same draws, with pairs counted one by one."""
    x = rng.normal(size=(60, 2)) + 2 * rng.integers(0, 3, 60)[:, None]
    found, error = stability(KMeans(n_init=2), x, (1, 2, 3), np.random.default_rng(5), repeats=2)
    expected, draws = np.ones((2, 3)), np.random.default_rng(5)
    for one in range(2):
        order = draws.permutation(60)
        for column, k in enumerate((2, 3), start=1):
            fits = [KMeans(k, n_init=2).fit(x[half], draws) for half in (order[:30], order[30:])]
            foretold = fits[1].model.apply(x[order[:30]]), fits[0].model.apply(x[order[30:]])
            expected[one, column] = np.mean(
                [strength_by_loops(g, f.value) for g, f in zip(foretold, fits, strict=True)]
            )
    assert np.allclose(found, expected.mean(axis=0))
    assert np.allclose(error, np.abs(expected[0] - expected[1]) / 2)


def test_halves_with_too_few_distinct_rows_are_not_stable(rng):
    x = np.repeat([[0.0], [1.0]], 10, axis=0)
    assert stability(KMeans(), x, (1, 2, 3), rng, repeats=1)[0].tolist()[::2] == [1, 0]


def test_spherical_likelihood_against_scipy(rng):
    x, codes = 100 + rng.normal(size=(50, 3)), np.arange(50) % 4
    centres = np.stack([x[codes == c].mean(axis=0) for c in range(4)])
    variance = ((x - centres[codes]) ** 2).sum() / 150
    expected = sum(
        multivariate_normal(centres[c], variance).logpdf(row) + np.log((codes == c).mean())
        for row, c in zip(x, codes, strict=True)
    )
    assert spherical(x, codes, 4) == (pytest.approx(expected), 16)


@pytest.mark.parametrize("covariance", ["tied", "full", "diag"])
def test_likelihood_of_a_mixture_is_that_of_scikit_learn(covariance, rng):
    x = rng.normal(size=(200, 3)) + 9 * np.eye(3)[np.arange(200) % 3]
    of = Gaussian(covariance=covariance, n_init=1)
    log, parameters = likelihood(of, x, 3, rng)
    model = Gaussian(3, covariance=covariance, n_init=1).mixture(0).fit(x)
    assert log == pytest.approx(model.score(x) * 200, rel=1e-4)
    assert parameters * np.log(200) - 2 * log == pytest.approx(model.bic(x), rel=1e-4)


def test_bic_is_plain_where_observations_are_independent(rng):
    """A mixture of what is Gaussian: a superfluous parameter is worth about a half, and no more is asked."""
    x = rng.normal(size=(2000, 4)) + 9 * np.eye(4)[rng.integers(0, 3, 2000)]
    value = bic(KMeans(), x, (2, 3, 4), np.random.default_rng(0))
    log, parameters = likelihood(KMeans(), x, 3, np.random.default_rng(0))
    assert value.argmax() == 2
    assert value[2] == pytest.approx(log - parameters * np.log(2000) / 2, rel=1e-3)


@pytest.mark.parametrize("of", [KMeans(), Gaussian()])
def test_repeated_observations_count_once(of, rng):
    """Averages over neighbours resemble copies: plain BIC takes them for evidence, and splits noise."""
    x = rng.normal(size=(300, 4)) + 5 * np.eye(4)[rng.integers(0, 3, 300)]
    copies = np.repeat(x, 8, axis=0) + 0.3 * rng.normal(size=(2400, 4))
    plain = [log - p * np.log(2400) / 2 for log, p in (likelihood(of, copies, k, rng) for k in (3, 15))]
    assert bic(of, copies, tuple(range(2, 11)), rng)[1:].argmax() + 2 == 3
    assert np.isfinite(plain).all()


def test_rows_that_coincide_have_a_finite_likelihood(rng):
    x = np.repeat(rng.normal(size=(3, 2)), 5, axis=0)
    assert np.isfinite(bic(KMeans(), x, (2, 3), rng)).all()
