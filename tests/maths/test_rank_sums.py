"""Rank sums against scipy, column by column, and in any division of the columns."""

import numpy as np
import scipy.sparse as sp
from scipy import stats

from triptych.maths import rank_sums as kernel
from triptych.maths.rank_sums import rank_sums


def made(rng):
    dense = rng.poisson(0.7, (60, 12)).astype(float)
    dense[:, 3], dense[:, 4] = 0, 2
    return dense, rng.integers(-1, 3, 60)


def test_every_pair_of_group_and_column_is_that_of_scipy(rng):
    dense, codes = made(rng)
    found = rank_sums(sp.csr_matrix(dense), codes, 3)
    for code in range(3):
        for column in range(12):
            a, b = dense[codes == code, column], dense[codes != code, column]
            test = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=False)
            p = 1.0 if np.isnan(test.pvalue) else test.pvalue
            np.testing.assert_allclose(found.pvalue[code, column], p, rtol=1e-9)
            np.testing.assert_allclose(found.auroc[code, column], test.statistic / len(a) / len(b))
            assert found.share_in[code, column] == (a > 0).mean()
            assert np.isclose(found.share_out[code, column], (b > 0).mean())
    assert (found.score[:, [3, 4]] == 0).all()


def test_blocks_of_columns_change_nothing(rng, monkeypatch):
    dense, codes = made(rng)
    whole = rank_sums(sp.csr_matrix(dense), codes, 3)
    monkeypatch.setattr(kernel, "AT_ONCE", 20)
    assert np.array_equal(rank_sums(sp.csr_matrix(dense), codes, 3).score, whole.score)
