"""Counts as they are."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.encoders.genes.raw import FittedRaw, Raw

GENES = np.array(list("abcdefgh"))


def counted(dense, genes=GENES):
    return Counts(sp.csr_matrix(dense), genes, np.zeros(len(dense), int))


@pytest.fixture
def study(rng):
    """Counts to fit on and counts of other observations, the same eight genes."""
    return [rng.poisson(1.0, (n, 8)).astype(np.int32) for n in (30, 12)]


def test_the_counts_are_those_given(study, rng):
    found = Raw().encode(counted(study[0]), rng)
    assert isinstance(found, sp.csr_matrix)
    assert found.dtype == np.float32
    assert np.array_equal(found.toarray(), study[0])
    assert found.nnz == (study[0] > 0).sum()


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_the_result_is_no_window_on_the_table(study, rng, dtype):
    given = counted(study[0].astype(dtype))
    value, model = Raw().fit(given, rng)
    for found in (value, model.apply(given)):
        assert not np.shares_memory(found.data, given.matrix.data)


def test_counts_are_exact_up_to_two_to_the_24th(rng):
    found = Raw().encode(counted(np.array([[2**24, 2**24 - 1]]), GENES[:2]), rng)
    assert found.toarray().tolist() == [[2**24, 2**24 - 1]]


def test_values_stored_twice_are_added_up(rng):
    matrix = sp.csr_matrix(([1, 2, 4], [0, 0, 1], [0, 3]), shape=(1, 8))
    found = Raw().encode(Counts(matrix, GENES, np.zeros(1, int)), rng)
    assert found.toarray().tolist() == [[3, 4, 0, 0, 0, 0, 0, 0]]


def test_an_empty_observation_stays_empty_and_so_may_all(rng):
    assert Raw().encode(counted(np.zeros((3, 8), int)), rng).nnz == 0


def test_missing_genes_are_columns_of_zeros_and_extra_genes_are_left_out(study, rng):
    one, other = study
    model = Raw().fit(counted(one), rng).model
    share = one[:, [2, 3]].sum() / one.sum()
    turned = counted(other[:, ::-1], np.array(list("hgfeXXba")))
    with pytest.warns(TriptychWarning, match=rf"raw: 2 of 8 .*\(c, d\), {share:.1%} of its counts. Their"):
        found = model.apply(turned)
    wanted = other.copy()
    wanted[:, [2, 3]] = 0
    assert np.array_equal(found.toarray(), wanted)
    assert found.has_canonical_format
    assert found.dtype == np.float32


def test_what_is_missing_is_weighed_by_its_counts(rng):
    dense = np.tile([100, 1, 1, 1, 1, 1, 1, 1], (4, 1))
    model = Raw().fit(counted(dense), rng).model
    with pytest.warns(TriptychWarning, match="5 of 8 genes"):
        model.apply(counted(dense[:, :3], GENES[:3]))
    with pytest.raises(DataError, match=r"raw: 1 of 8 genes of the fit are missing .*93.5% of its counts"):
        model.apply(counted(dense[:, 1:], GENES[1:]))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_what_no_count_can_be_is_refused(study, rng, bad):
    dense = study[0].astype(float)
    dense[0, 0] = bad
    for given in (
        lambda: Raw().encode(counted(dense), rng),
        lambda: fitted(study, rng).apply(counted(dense)),
    ):
        with pytest.raises(DataError, match="some values are (negative|not finite)"):
            given()


def fitted(study, rng):
    return Raw().fit(counted(study[0]), rng).model


def test_a_model_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"its totals have shape \(3,\); it has 2 genes"):
        FittedRaw(("a", "b"), np.ones(3))
