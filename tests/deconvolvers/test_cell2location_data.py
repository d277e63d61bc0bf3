"""cell2location on the human lymph node: real cells and spots, and pseudo-spots whose cells are known."""

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.protocols import Counts
from triptych.deconvolvers.cell2location import Cell2location
from triptych.deconvolvers.nnls import Nnls
from triptych.maths.mixtures import halves, mixed
from triptych.readers.reference import read_reference

pytest.importorskip("cell2location", reason="the extra deconvolution is not installed")
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def lymph(real_data):
    """330 cells of 11 types and 1000 spots, which share 558 genes."""
    folder = real_data / "lymph_visium_ref"
    spots = ad.read_h5ad(folder / "visium.h5ad")
    counts = Counts(sp.csr_matrix(spots.X), spots.var_names.to_numpy(str), np.zeros(spots.n_obs, int))
    return read_reference(folder / "sc_ref.h5ad"), counts


@pytest.fixture(scope="module")
def pseudo(lymph):
    """100 spots of other cells than those of the reference, with the genes that Visium's have too."""
    rng = np.random.default_rng(0)
    reference, spots = lymph
    cells, others = halves(reference, rng)
    keep = np.isin(cells.genes, spots.genes)
    cells = replace(cells, matrix=cells.matrix[:, keep], genes=cells.genes[keep])
    counts, known = mixed(cells, rng, spots=100, depth=(0.2, 0.6))
    return counts, others, known.values / known.values.sum(axis=1, keepdims=True)


def mean_r(truth, guess):
    return np.mean([np.corrcoef(truth[:, t], guess[:, t])[0, 1] for t in range(truth.shape[1])])


def test_real_spots_give_the_same_bits_for_the_same_seed_whatever_the_order(lymph):
    reference, counts = lymph
    rng = np.random.default_rng(1)
    rows, order = rng.permutation(1000)[:60], rng.permutation(len(reference.genes))
    some = Counts(counts.matrix[rows], counts.genes, counts.batch[rows])
    turned = replace(reference, matrix=reference.matrix[:, order], genes=reference.genes[order])
    ours = Cell2location(reference_epochs=5, epochs=10)
    one, same = (ours.deconvolve(some, cells, np.random.default_rng(0)) for cells in (reference, turned))
    assert one.values.tobytes() == same.values.tobytes()
    assert one.values.shape == (60, 11)
    assert one.types == reference.names
    assert np.isfinite(one.high).all()


def test_few_epochs_say_more_of_the_known_mixture_than_chance(pseudo):
    counts, others, truth = pseudo
    ours = Cell2location(reference_epochs=100, epochs=300, cells_per_location=7.5, proportions=True)
    guess = ours.deconvolve(counts, others, np.random.default_rng(0)).values
    rng = np.random.default_rng(1)
    chance = [mean_r(truth[rng.permutation(100)], guess) for _ in range(20)]
    assert mean_r(truth, guess) > max(0.4, *chance)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_epochs_find_the_known_mixture(pseudo):
    counts, others, truth = pseudo
    ours = Cell2location(epochs=3000, cells_per_location=7.5, proportions=True)
    got = ours.deconvolve(counts, others, np.random.default_rng(0))
    plain = Nnls().deconvolve(counts, others, np.random.default_rng(0)).values
    assert mean_r(truth, got.values) > 0.75
    assert mean_r(truth, got.values) > mean_r(truth, plain) - 0.1
    error = np.sqrt(((truth - got.values) ** 2).mean())
    assert error < 0.8 * np.sqrt(truth.var(axis=0).mean())  # of one who says the same of every spot
