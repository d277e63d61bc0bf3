"""Rank scores against loops over cells, scipy's ranks and random programmes."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import mannwhitneyu, rankdata

from triptych.maths import rank_scores as module
from triptych.maths.rank_scores import rank_scores


@pytest.fixture
def x(rng):
    """Counts with ties, an empty cell and stored zeros."""
    dense = rng.poisson(0.6, (40, 25)).astype(float)
    dense[7] = 0
    dense[8] = 3
    sparse = sp.csr_matrix(dense)
    sparse.data[::9] = 0
    return sparse


@pytest.fixture
def members(rng):
    chosen = rng.random((6, 25)) < 0.2
    chosen[:, 3] = True
    chosen[5] = False
    chosen[5, 11] = True
    return chosen


def naive(x, members, max_rank):
    """UCell by the book, cell by cell."""
    scores, zs = [], []
    for row in x.toarray():
        ranks = np.minimum(rankdata(-row), max_rank + 1)
        score, z = [], []
        for programme in members:
            k = programme.sum()
            least, most = k * (k + 1) / 2, k * (max_rank + 1)
            score.append(1 - (ranks[programme].sum() - least) / (most - least))
            deviation = np.sqrt(k * ranks.var(ddof=1) * (len(row) - k) / len(row))
            z.append((k * ranks.mean() - ranks[programme].sum()) / deviation if deviation else 0.0)
        scores.append(score)
        zs.append(z)
    return np.array(scores), np.array(zs)


@pytest.mark.parametrize("max_rank", [0, 10])
def test_every_score_is_that_of_a_naive_loop(x, members, max_rank):
    score, z = rank_scores(x, members, max_rank=max_rank)
    expected, deviations = naive(x, members, max_rank or x.shape[1])
    np.testing.assert_allclose(score, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(z, deviations, rtol=1e-9, atol=1e-9)


def test_it_orders_cells_as_the_u_of_mann_and_whitney(x, members):
    score = rank_scores(x, members).score
    for row, values in zip(x.toarray(), score, strict=True):
        for programme, value in zip(members, values, strict=True):
            k, g = programme.sum(), len(row)
            u = mannwhitneyu(row[programme], row[~programme]).statistic
            # Σ r = k(k + 1)/2 + k(g - k) - U, for ranks that fall
            assert value == pytest.approx(1 - (k * (g - k) - u) / (k * (g + 1) - k * (k + 1) / 2))


def test_z_is_what_random_programmes_of_the_same_cell_say(x, rng):
    chosen = np.argsort(rng.random((40_000, 25)), axis=1) < 4
    z = rank_scores(x[:3], chosen).z
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=0.02)
    np.testing.assert_allclose(z.std(axis=1), 1, atol=0.02)


def test_the_highest_genes_score_one_and_genes_that_are_cut_none():
    x = sp.csr_matrix(np.arange(10, 0, -1, dtype=float)[None])
    members = np.zeros((2, 10), bool)
    members[0, :3] = members[1, 7:] = True
    assert rank_scores(x, members, max_rank=5).score.tolist() == [[1.0, 0.0]]


def test_a_cell_whose_genes_are_alike_says_nothing(x, members):
    z = rank_scores(x, members).z
    assert not z[7].any()
    assert not rank_scores(sp.csr_matrix(np.full((1, 25), 3.0)), members).z.any()


def test_blocks_scale_and_order_of_genes_change_nothing(x, members, rng, monkeypatch):
    whole = rank_scores(x, members)
    order = rng.permutation(25)
    np.testing.assert_allclose(rank_scores(x[:, order], members[:, order]).score, whole.score)
    np.testing.assert_array_equal(rank_scores(x * 7, members).score, whole.score)
    monkeypatch.setattr(module, "AT_ONCE", 30)
    np.testing.assert_array_equal(rank_scores(x, members).z, whole.z)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    np.testing.assert_array_equal(rank_scores(x, members).score, whole.score)


def test_the_counts_are_not_written_to(x, members):
    before = x.copy()
    rank_scores(x, members)
    assert x.nnz == before.nnz
    np.testing.assert_array_equal(x.data, before.data)
