"""All genes, normalised and logged."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.encoders.genes.log_normalised import FittedLogNormalised, LogNormalised


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


@pytest.fixture
def study(rng):
    """Counts to fit on and counts of other observations, the same eight genes."""
    genes = np.array(list("abcdefgh"))
    return [Counts(sp.csr_matrix(rng.poisson(1.0, (n, 8))), genes, np.zeros(n, int)) for n in (30, 12)]


@pytest.mark.parametrize("target", [None, 1e4])
def test_others_are_brought_to_the_depth_of_the_fit(study, rng, target):
    one, other = study
    value, model = LogNormalised(target).fit(one, rng)
    assert np.array_equal(model.apply(one).toarray(), value.toarray())
    goal = target or np.median(one.matrix.sum(axis=1).A1[one.matrix.sum(axis=1).A1 > 0])
    dense = other.matrix.toarray()
    expected = np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * goal)
    assert np.allclose(model.apply(other).toarray(), expected, rtol=1e-6)


def test_missing_genes_are_columns_of_zeros_and_extra_genes_are_left_out(study, rng):
    one, other = study
    model = LogNormalised(target_sum=100.0).fit(one, rng).model
    turned = Counts(other.matrix[:, ::-1].tocsr(), np.array(list("hgfeXXba")), other.batch)
    with pytest.warns(TriptychWarning, match=r"log-normalised: 2 of 8 .*\(c, d\), 25.0% of all genes. Their"):
        found = model.apply(turned)
    dense, there = other.matrix.toarray().astype(float), [0, 1, 4, 5, 6, 7]
    dense[:, [2, 3]] = 0
    totals = one.matrix.toarray().sum(axis=0)
    goal = 100.0 * totals[there].sum() / totals.sum()
    expected = np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * goal)
    assert np.allclose(found.toarray(), expected, rtol=1e-6)
    assert found.has_canonical_format
    assert found.dtype == np.float32
    with pytest.raises(DataError, match="5 of 8 genes of the fit are missing"):
        model.apply(Counts(other.matrix[:, :3], other.genes[:3], other.batch))


def test_a_model_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"its totals have shape \(3,\); it has 2 genes"):
        FittedLogNormalised(("a", "b"), 1.0, np.ones(3))


def test_target_out_of_range():
    with pytest.raises(ValueError, match="target_sum must be above 0"):
        LogNormalised(target_sum=-1)
