"""What cell2location refuses, which genes it takes, and the arithmetic of its posterior."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Reference
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.deconvolvers.cell2location_inputs import GeneFilter, shared
from triptych.deconvolvers.cell2location_posterior import Posterior
from triptych.deconvolvers.cell2location_training import minibatch

ALL = GeneFilter(0, 0.0, 0.0)


@pytest.fixture
def counts(rng):
    genes = np.array([f"G{i}" for i in range(12)])
    return Counts(sp.csr_matrix(rng.poisson(3, (6, 12))), genes, np.zeros(6, int))


@pytest.fixture
def reference(rng):
    genes = np.array([f"G{i}" for i in range(11, -1, -1)])
    matrix = sp.csr_matrix(rng.poisson(2, (9, 12)))
    return Reference(matrix, genes, np.arange(9) % 3, ("a", "b", "c"), np.zeros(9, int))


def test_genes_are_matched_by_name(counts, reference):
    data = shared(counts, reference, ALL, 5)
    dense = counts.matrix.toarray(), reference.matrix.toarray()
    assert data.genes.tolist() == sorted(counts.genes)
    for j, gene in enumerate(data.genes):
        assert np.array_equal(data.spots[:, [j]].toarray()[:, 0], dense[0][:, counts.genes == gene][:, 0])
        assert np.array_equal(data.cells[:, [j]].toarray()[:, 0], dense[1][:, reference.genes == gene][:, 0])


def test_mitochondrial_genes_are_left_out(counts, reference):
    names = counts.genes.astype("<U8")
    names[[0, 3, 5]] = "MT-CO1", "mt-Nd1", "MTOR"
    data = shared(replace(counts, genes=names), replace(reference, genes=names), ALL, 5)
    assert set(names) - set(data.genes) == {"MT-CO1", "mt-Nd1"}


def test_the_filter_is_that_of_the_package(rng, monkeypatch):
    pytest.importorskip("cell2location", reason="the extra deconvolution is not installed")
    import matplotlib.pyplot as plt
    from anndata import AnnData
    from cell2location.utils.filtering import filter_genes

    monkeypatch.setattr(plt, "show", plt.close)
    cells = sp.csr_matrix(rng.poisson(rng.gamma(0.2, 0.6, 300), (200, 300)).astype(np.float32))
    cells = cells[:, np.asarray((cells > 0).sum(axis=0)).ravel() > 0]
    table = AnnData(cells)
    for params in ((5, 0.03, 1.12), (15, 0.05, 1.12), (3, 0.5, 2.0)):
        keep = GeneFilter(*params).keep(cells)
        assert table.var_names[keep].tolist() == list(filter_genes(table, *params))
        assert 0 < keep.sum() < cells.shape[1]


def test_stored_zeros_and_values_in_parts_change_nothing(counts, reference):
    matrix = counts.matrix.tocoo()
    twice = sp.csr_matrix(
        (np.append(matrix.data - 1.0, np.ones(matrix.nnz)),
         (np.tile(matrix.row, 2), np.tile(matrix.col, 2))), matrix.shape,
    )  # fmt: skip
    parts = sp.csr_matrix((twice.data, twice.indices, twice.indptr), matrix.shape)
    one, other = (shared(replace(counts, matrix=m), reference, ALL, 5).spots for m in (counts.matrix, parts))
    assert (one != other).nnz == 0
    assert other.has_canonical_format


def test_all_faults_of_both_are_told_together(counts, reference):
    spots = counts.matrix.astype(float)
    spots.data[0] = np.nan
    cells = reference.matrix.astype(float)
    cells.data[0] += 0.5
    names = counts.genes.copy()
    names[1] = names[0]
    bad = Counts(spots, names[:-1], np.array([0, -1]))
    worse = replace(
        reference, matrix=cells, types=np.array([0, 0, 0, 1, 1, -1, 1, 1, 9]), batch=np.zeros(2, int)
    )
    with pytest.raises(DataError) as caught:
        shared(bad, worse, ALL, 500)
    for words in (
        "spots: 12 columns but 11 names", "spots: 6 rows but 2 batch codes",
        "spots: some rows have no batch", "spots: some values are not finite",
        "spots: 1 genes are named twice: G0", "reference: 9 rows but 2 batch codes",
        "reference: some values are not whole numbers; they look normalised",
        "2 cells of the reference have no known type", "types with fewer than 3 cells: c (0)",
        "genes, and 500 are needed; the spots have G0, G0, G2 and 8 more; the reference has G11, G10, G9",
        "It takes raw counts",
    ):  # fmt: skip
        assert words in str(caught.value)


def test_other_faults(counts, reference):
    negative = counts.matrix.copy()
    negative.data[0] = -1
    with pytest.raises(DataError, match="spots: some values are negative"):
        shared(replace(counts, matrix=negative), reference, ALL, 5)
    with pytest.raises(DataError, match="the reference has 9 cells but 8 types of cells"):
        shared(counts, replace(reference, types=reference.types[:8]), ALL, 5)
    with pytest.raises(DataError, match="has 1 types, and 2 are needed"):
        shared(counts, replace(reference, types=np.zeros(9, int), names=("a",)), ALL, 5)
    with pytest.raises(DataError, match="0 of 12 shared genes are seen in enough cells, and 5 are needed"):
        shared(counts, reference, GeneFilter(99, 1.0, 0.0), 5)
    empty = sp.csr_matrix(counts.matrix.toarray() * (np.arange(6) == 0)[:, None])
    with pytest.raises(DataError, match="1 spots have counts of the genes in use, and 2 are needed"):
        shared(replace(counts, matrix=empty), reference, ALL, 5)


def test_spots_without_counts_are_told_of(counts, reference):
    some = sp.csr_matrix(counts.matrix.toarray() * (np.arange(6) != 2)[:, None])
    with pytest.warns(TriptychWarning, match="1 spots have no counts"):
        data = shared(replace(counts, matrix=some), reference, ALL, 5)
    assert data.held.tolist() == [True, True, False, True, True, True]
    assert data.spots.shape == (5, 12)


@pytest.mark.parametrize(("loc", "scale"), [(-4.0, 0.3), (0.0, 1.0), (-2.0, 3.0), (6.0, 0.05), (1.0, 6.0)])
def test_quantiles_and_means_against_draws_and_sums(loc, scale, rng):
    one = Posterior(np.full((1, 1), loc), np.full((1, 1), scale), lambda z: np.logaddexp(0, z))
    z = np.linspace(-12, 12, 200_001)
    density = np.exp(-(z**2) / 2)
    mean = (np.log1p(np.exp(loc + scale * z)) * density).sum() / density.sum()
    assert one.mean()[0, 0] == pytest.approx(mean, rel=1e-3)
    drawn = np.log1p(np.exp(loc + scale * rng.standard_normal(400_000)))
    for q in (0.05, 0.5, 0.95):
        assert one.quantile(q)[0, 0] == pytest.approx(np.quantile(drawn, q), rel=0.05)


def test_the_mean_of_a_log_normal_is_the_known_one():
    loc, scale = np.array([[-3.0, 0.0, 4.0]]), np.array([[0.2, 2.0, 3.0]])
    assert np.allclose(Posterior(loc, scale).mean(), np.exp(loc + scale**2 / 2), rtol=1e-9)


def test_proportions_of_rows_do_not_depend_on_blocks(rng, monkeypatch):
    import triptych.deconvolvers.cell2location_posterior as module

    some = Posterior(rng.normal(size=(9, 3)), rng.uniform(0.1, 1, (9, 3)))
    whole = some.proportions((0.05, 0.95), np.random.default_rng(0))
    monkeypatch.setattr(module, "BLOCK", 2 * module.DRAWS * 3)
    parts = some.proportions((0.05, 0.95), np.random.default_rng(0))
    assert whole.shape == (2, 9, 3)
    assert np.abs(whole - parts).max() < 0.1  # other draws of the same
    sure = replace(some, scale=np.full((9, 3), 1e-9))
    share = sure.quantile(0.5) / sure.quantile(0.5).sum(axis=1, keepdims=True)
    assert np.allclose(sure.proportions((0.05, 0.95), rng), share, atol=1e-6)


@pytest.mark.parametrize(("n", "size"), [(30, 0), (30, 30), (30, 29), (30, 7), (31, 30), (3, 2), (101, 50)])
def test_no_minibatch_is_one_row(n, size):
    rows = minibatch(n, size)
    if size in (0, 30, 2) and n in (30, 3):
        assert rows is None
    else:
        assert 2 <= rows <= size
        assert n % rows != 1
