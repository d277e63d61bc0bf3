"""PERMDISP: against scikit-bio and a one-way analysis of variance, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import pdist, squareform
from scipy.stats import f_oneway, kstest

from triptych.analyses.permdisp import Permdisp
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Places

COLUMNS = ["group", "other", "n", "n_other", "f_statistic", "r2", "dispersion", "dispersion_other", "wider",
           "pvalue", "padj"]  # fmt: skip


def made(spreads=(1.0, 1.0, 2.0), n=90, seed=0):
    """Groups around one place, each with its own spread."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(spreads), n)
    x = rng.normal(size=(n, 4)) * np.array(spreads)[labels][:, None]
    places = Places(np.zeros((n, 2)), np.zeros(n, int))
    return Material(labels, tuple("abcdef"[: len(spreads)]), places, x=x)


def analyse(given, seed=0, **params):
    return Permdisp(**params).analyse(given, np.random.default_rng(seed))


def z_scores(given):
    return (given.x - given.x.mean(axis=0)) / given.x.std(axis=0)


def test_equal_to_scikit_bio():
    from skbio.stats.distance import DistanceMatrix, permdisp

    given, found = made(), analyse(made(), permutations=999)
    assert list(found) == COLUMNS
    z = z_scores(given)
    for row, (one, other) in enumerate([(0, 1), (0, 2), (1, 2)]):
        rows = np.isin(given.labels, (one, other))
        distances = DistanceMatrix(squareform(pdist(z[rows])))
        result = permdisp(
            distances, given.labels[rows], test="centroid", permutations=499, seed=1, warn_neg_eigval=False
        )
        assert found["f_statistic"][row] == pytest.approx(result["test statistic"], rel=1e-9)
        assert found["pvalue"][row] == pytest.approx(result["p-value"], abs=0.1)  # it permutes otherwise


def test_equal_to_an_analysis_of_variance_of_the_distances():
    given, found = made(), analyse(made())
    z, labels = z_scores(given), given.labels
    distance = np.array(
        [np.linalg.norm(row - z[labels == own].mean(axis=0)) for row, own in zip(z, labels, strict=True)]
    )
    one, other = distance[labels == 0], distance[labels == 2]
    both = np.concatenate([one, other])
    within = ((one - one.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum()
    assert found["f_statistic"][1] == pytest.approx(f_oneway(one, other).statistic, rel=1e-10)
    assert found["r2"][1] == pytest.approx(1 - within / ((both - both.mean()) ** 2).sum(), rel=1e-10)
    assert found["dispersion"][1] == pytest.approx(one.mean())
    assert found["dispersion_other"][1] == pytest.approx(other.mean())
    assert found["wider"][1] == "c"
    assert found["pvalue"][1] == 0.001


def test_the_place_of_a_group_does_not_matter():
    given = made()
    moved = replace(given, x=given.x + 7.0 * given.labels[:, None])
    one, two = analyse(given, standardise=False), analyse(moved, standardise=False)
    pd.testing.assert_frame_equal(one.drop(columns=["pvalue", "padj"]), two.drop(columns=["pvalue", "padj"]))
    np.testing.assert_allclose(one["pvalue"], two["pvalue"], atol=0.05)


def test_wider_is_the_group_with_the_larger_dispersion():
    found = analyse(made((3.0, 1.0, 2.0)))
    assert found["wider"].tolist() == ["a", "a", "c"]


def test_a_sparse_space_is_the_same_space():
    given = made()
    x = np.where(np.abs(given.x) > 0.5, given.x, 0)
    found = analyse(replace(given, x=sp.csr_matrix(x)))
    pd.testing.assert_frame_equal(found, analyse(replace(given, x=x)), rtol=1e-9)


def test_pvalues_are_uniform_where_spreads_are_equal():
    found = [analyse(made((1.0, 1.0), 60, seed), seed, permutations=99)["pvalue"][0] for seed in range(50)]
    assert kstest(found, "uniform").pvalue > 0.01


def test_distances_that_vary_in_no_group():
    corners = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    given = Material(np.repeat([0, 1], 4), ("a", "b"), made(n=8).places, x=np.vstack([corners, 3 * corners]))
    found = analyse(given, standardise=False)
    assert found["f_statistic"][0] == np.inf
    assert found["wider"][0] == "b"
    assert found["pvalue"][0] == pytest.approx(2 / 70, abs=0.03)
    alike = analyse(replace(given, x=np.vstack([corners, corners + 5])), standardise=False)
    assert (alike["f_statistic"][0], alike["r2"][0], alike["pvalue"][0]) == (0.0, 0.0, 1.0)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="permdisp: no space was given"):
        analyse(replace(made(), x=None))
    with pytest.raises(DataError, match="permdisp: there must be two groups"):
        analyse(replace(made(), labels=np.zeros(90, int)))
    with pytest.raises(DataError, match="permdisp: all 4 columns are constant"):
        analyse(replace(made(), x=np.ones((90, 4))))
    with pytest.raises(ValueError, match="permutations must be 1 or more"):
        Permdisp(permutations=0)
