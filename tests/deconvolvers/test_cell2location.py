"""cell2location: the package's own numbers, seeded, silent and without a trace; counts only."""

import logging
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Reference
from triptych.core.errors import DataError, MissingExtraError, NumericsError, TriptychWarning
from triptych.core.progress import listening
from triptych.core.protocols import Counts
from triptych.deconvolvers.cell2location import Cell2location
from triptych.deconvolvers.cell2location_posterior import Posterior
from triptych.deconvolvers.cell2location_training import session
from triptych.maths.mixtures import mixed

pytest.importorskip("cell2location", reason="the extra deconvolution is not installed")
torch = pytest.importorskip("torch")

QUICK = Cell2location(reference_epochs=2, epochs=3, cells_per_location=8, fewest_genes=20)


@pytest.fixture(scope="module")
def study():
    """Cells of three types in two batches, 40 genes, and 30 spots of them."""
    rng = np.random.default_rng(0)
    types = np.arange(60) % 3
    rates = rng.gamma(0.5, 6.0, (3, 40))[types]
    genes = np.array([f"G{i:02d}" for i in range(40)])
    reference = Reference(
        sp.csr_matrix(rng.poisson(rates).astype(np.int32)), genes, types, ("b", "a", "c"), np.arange(60) // 30
    )
    counts, truth = mixed(reference, rng, spots=30)
    return Counts(counts.matrix, genes, np.arange(30) % 2), reference, truth


@pytest.fixture(scope="module")
def found(study):
    return QUICK.deconvolve(study[0], study[1], np.random.default_rng(0))


def bits(abundance):
    return b"".join(part.tobytes() for part in (abundance.values, abundance.low, abundance.high))


def shares(values):
    return values / values.sum(axis=1, keepdims=True)


@pytest.mark.slow
def test_it_finds_the_mixture(study):
    counts, reference, truth = study
    ours = Cell2location(reference_epochs=150, epochs=600, cells_per_location=8, fewest_genes=20)
    got = ours.deconvolve(counts, reference, np.random.default_rng(0))
    known, guess = shares(truth.values), shares(got.values)
    right = np.mean([np.corrcoef(known[:, t], guess[:, t])[0, 1] for t in range(3)])
    other = np.random.default_rng(1).permutation(30)
    wrong = np.mean([np.corrcoef(known[other, t], guess[:, t])[0, 1] for t in range(3)])
    assert right > 0.9
    assert abs(wrong) < 0.5
    assert got.types == ("b", "a", "c")


def test_values_lie_in_their_intervals(found):
    assert found.values.shape == found.low.shape == found.high.shape == (30, 3)
    assert np.array_equal(found.values, found.low)  # the 5 % quantile is what is given
    assert (found.low >= 0).all()
    assert (found.low < found.high).all()


def test_seed_decides(study, found):
    same, other = (QUICK.deconvolve(*study[:2], np.random.default_rng(seed)) for seed in (0, 1))
    assert bits(same) == bits(found)
    assert bits(other) != bits(found)


def test_the_order_of_genes_and_other_genes_change_nothing(study, found):
    counts, reference, _ = study
    order = np.random.default_rng(1).permutation(40)
    extra = sp.csr_matrix(np.full((30, 1), 7, np.int32))
    wider = Counts(
        sp.hstack([counts.matrix[:, order], extra]).tocsr(),
        np.append(counts.genes[order], "only here"),
        counts.batch,
    )
    again = order[::-1]
    turned = replace(
        reference, matrix=reference.matrix[:, again].astype(np.float64), genes=reference.genes[again]
    )
    assert bits(QUICK.deconvolve(wider, turned, np.random.default_rng(0))) == bits(found)


def test_spots_without_counts_stay_unknown_and_change_nothing(study, found):
    counts, reference, _ = study
    empty = sp.csr_matrix((2, 40), dtype=np.int32)
    longer = Counts(sp.vstack([empty, counts.matrix]).tocsr(), counts.genes, np.append([0, 0], counts.batch))
    with pytest.warns(TriptychWarning, match="2 spots have no counts of the genes in use"):
        got = QUICK.deconvolve(longer, reference, np.random.default_rng(0))
    for part, known in ((got.values, found.values), (got.low, found.low), (got.high, found.high)):
        assert np.isnan(part[:2]).all()
        assert np.array_equal(part[2:], known)


def test_the_mean_and_proportions_of_the_same_fit(study, found):
    mean = replace(QUICK, statistic="mean").deconvolve(*study[:2], np.random.default_rng(0))
    assert np.array_equal(mean.low, found.low)
    assert np.array_equal(mean.high, found.high)
    assert ((mean.low < mean.values) & (mean.values < mean.high)).all()
    for part in (found, mean):
        ours = replace(QUICK, proportions=True, statistic="q05" if part is found else "mean")
        got = ours.deconvolve(*study[:2], np.random.default_rng(0))
        assert np.allclose(got.values, shares(part.values), rtol=1e-12)
        assert ((got.low <= got.values) & (got.values <= got.high) & (got.high <= 1)).all()
        assert (got.low < got.high).all()


def test_minibatches_leave_no_spot_alone(study):
    for size in (7, 29, 30, 500):  # 29 and 7 would leave 1 and 2 of 30
        got = replace(QUICK, epochs=2, batch_size=size).deconvolve(*study[:2], np.random.default_rng(0))
        assert np.isfinite(got.values).all()


def test_the_posterior_is_the_one_that_the_package_exports(study):
    counts, _, _ = study
    import pandas as pd
    from anndata import AnnData

    rates = np.random.default_rng(1).gamma(1.0, 2.0, (40, 3)).astype(np.float32)
    with session(0) as package:
        table = AnnData(counts.matrix.astype(np.float32), var=pd.DataFrame(index=counts.genes))
        package.library.models.Cell2location.setup_anndata(table)
        model = package.library.models.Cell2location(table, pd.DataFrame(rates, index=counts.genes))
        model.train(max_epochs=20, accelerator="cpu", logger=False, enable_progress_bar=False)
        ours = Posterior.of(model.module.guide, "w_sf")
        for q in (0.05, 0.5, 0.95):
            theirs = model.posterior_quantile(q=q, use_median=False, accelerator="cpu")["w_sf"]
            assert np.allclose(ours.quantile(q), theirs, rtol=1e-4)
        drawn = model.sample_posterior(
            num_samples=60, return_sites=["w_sf"], batch_size=30, accelerator="cpu", show_progress=False
        )
        model.deregister_manager(table)
    error = drawn["post_sample_stds"]["w_sf"] / np.sqrt(60)
    assert (np.abs(ours.mean() - drawn["post_sample_means"]["w_sf"]) < 5 * error).all()


def test_the_world_is_left_as_it_was(study, tmp_path, monkeypatch, capfd, recwarn):
    import pyro
    import scvi
    from cell2location.models import Cell2location as Spatial
    from cell2location.models import RegressionModel

    monkeypatch.chdir(tmp_path)
    counts, reference, _ = study
    for matrix in (counts.matrix, reference.matrix):
        monkeypatch.setattr(matrix.data.flags, "writeable", False)
    pyro.get_param_store().clear()
    pyro.param("mine", torch.tensor(1.0))

    def world():
        return (
            random.getstate(), np.random.get_state()[1].tobytes(),  # noqa: NPY002
            torch.get_rng_state().numpy().tobytes(), torch.get_num_threads(), torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(), scvi.settings.seed,
            list(pyro.get_param_store().keys()), *(logging.getLogger(name).level for name in ("scvi",
            "cell2location", "lightning.pytorch")),
            *(len(cls._setup_adata_manager_store) for cls in (Spatial, RegressionModel)),
        )  # fmt: skip

    torch.set_num_threads(2)
    before = world()
    replace(QUICK, reference_epochs=1, epochs=1).deconvolve(counts, reference, np.random.default_rng(0))
    assert world() == before
    torch.set_num_threads(1)
    pyro.get_param_store().clear()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_epochs_are_told(study):
    told = []
    with listening(lambda *what: told.append(what)):
        replace(QUICK, reference_epochs=2, epochs=3).deconvolve(*study[:2], np.random.default_rng(0))
    assert told == [("cell2location", done, of) for of in (2, 3) for done in range(of + 1)]


def test_two_threads_get_what_one_gets(study):
    from concurrent.futures import ThreadPoolExecutor

    ours = replace(QUICK, reference_epochs=2, epochs=2)

    def got(seed):
        return bits(ours.deconvolve(*study[:2], np.random.default_rng(seed)))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(got, (0, 1))) == [got(0), got(1)]


def test_a_fit_that_diverged_is_told(study, monkeypatch):
    monkeypatch.setattr(Posterior, "quantile", lambda self, q: np.full(self.loc.shape, np.nan))
    with pytest.raises(NumericsError, match="the training diverged"):
        replace(QUICK, reference_epochs=1, epochs=1).deconvolve(*study[:2], np.random.default_rng(0))


def test_a_missing_package_is_told(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "cell2location", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'triptych\[deconvolution\]'"):
        QUICK.deconvolve(*study[:2], np.random.default_rng(0))


def test_what_it_gives():
    assert Cell2location().gives == "cells per spot, 5 % quantile of the posterior (cell2location)"
    assert Cell2location(statistic="mean").gives == "cells per spot, mean of the posterior (cell2location)"
    assert Cell2location(proportions=True).gives.startswith("proportions of cells, from the 5 % quantile")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"reference_epochs": 0}, "at least 1"),
        ({"epochs": 0}, "at least 1"),
        ({"cells_per_location": 0}, "cells_per_location"),
        ({"detection_alpha": float("nan")}, "detection_alpha"),
        ({"batch_size": 1}, "batch_size"),
        ({"batch_size": -2}, "batch_size"),
        ({"cell_count_cutoff": -1}, "cell_count_cutoff"),
        ({"nonz_mean_cutoff": -1}, "nonz_mean_cutoff"),
        ({"cell_percentage_cutoff2": 3}, "between 0 and 1"),
        ({"fewest_genes": 0}, "fewest_genes"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Cell2location(**params)


def test_too_few_genes_is_an_error_before_anything_is_fitted(study):
    with pytest.raises(DataError, match="share 40 genes, and 100 are needed"):
        Cell2location().deconvolve(*study[:2], np.random.default_rng(0))
