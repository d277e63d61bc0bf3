"""All genes, normalised and logged."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.protocols import Counts
from triptych.encoders.genes.log_normalised import LogNormalised


@pytest.mark.parametrize("target", [None, 1e4])
def test_equal_to_dense_arithmetic(rng, target):
    dense = rng.poisson(1.0, (30, 8))
    dense[4] = 0
    totals = dense.sum(axis=1)
    goal = target or np.median(totals[totals > 0])
    expected = np.log1p(dense / np.maximum(totals, 1)[:, None] * goal)
    counts = Counts(sp.csr_matrix(dense), np.array(list("abcdefgh")), np.zeros(30, int))
    found = LogNormalised(target_sum=target).encode(counts, rng)
    assert isinstance(found, sp.csr_matrix)
    assert found.dtype == np.float32
    assert found.nnz == (dense > 0).sum()
    assert np.allclose(found.toarray(), expected, rtol=1e-6)


def test_target_out_of_range():
    with pytest.raises(ValueError, match="target_sum must be above 0"):
        LogNormalised(target_sum=-1)
