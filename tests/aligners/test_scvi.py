"""scVI from counts: seeded, silent, leaving no files and no global state; counts only."""

import logging
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.aligners.scvi import Scvi
from triptych.core.errors import DataError, MissingExtraError, TriptychWarning
from triptych.core.progress import listening

pytest.importorskip("scvi", reason="the extra align is not installed")
torch = pytest.importorskip("torch")


@pytest.fixture
def counts(rng):
    """Two groups in two batches; the batch triples a third of the genes."""
    group, batch = np.arange(200) % 2, np.arange(200) // 2 % 2
    rates = rng.gamma(2.0, 2.0, (2, 30))[group]
    rates[batch == 1, :10] *= 3
    return sp.csr_matrix(rng.poisson(rates).astype(np.int32)), group, batch


def test_the_batch_goes_and_the_groups_stay(counts):
    x, group, batch = counts
    found = Scvi(latent=4, hidden=32, epochs=100).align(x, batch, np.random.default_rng(0))

    def apart(codes):
        one, other = found[codes == 0], found[codes == 1]
        return np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) / found.std()

    assert found.shape == (200, 4)
    assert apart(group) > 3 * apart(batch)  # 1.5 times in the logged counts


@pytest.mark.parametrize("params", [{}, {"layers": 3, "hidden": 16}, {"hvg": 12, "likelihood": "zinb"}])
def test_rows_of_the_fit_are_encoded_as_the_library_does(params, counts):
    x, _, batch = counts
    value, model = Scvi(latent=4, epochs=5, **params).fit(x, batch, np.random.default_rng(0))
    for form in (x, x.toarray(), x.astype(np.float64)):
        assert np.abs(model.apply(form, np.zeros(200, int)) - value).max() < 1e-5


def test_the_model_needs_no_library(counts, monkeypatch, tmp_path):
    x, _, batch = counts
    fit = Scvi(epochs=1).fit(x, batch, np.random.default_rng(0))
    fit.model.save(tmp_path)
    monkeypatch.setitem(sys.modules, "scvi", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert np.allclose(Scvi().restore(tmp_path).apply(x, batch), fit.value, atol=1e-5)


def test_a_choice_of_genes_is_that_choice_alone(counts):
    from triptych.maths.variable_genes import highly_variable

    x, _, batch = counts
    x = sp.csr_matrix(np.hstack([x.toarray(), np.eye(200, 3, dtype=np.int32)]))  # genes seen once
    chosen = highly_variable(x[:, :30], 12, batch)
    value, model = Scvi(epochs=1, hvg=12, min_spots=2).fit(x, batch, np.random.default_rng(0))
    alone = Scvi(epochs=1).align(x[:, chosen], batch, np.random.default_rng(0))
    assert value.tobytes() == alone.tobytes()
    assert model.genes.tolist() == chosen.tolist()
    assert model.columns == 33
    other = x.tolil()
    other[:, np.setdiff1d(np.arange(33), chosen)] = 1
    assert np.array_equal(model.apply(other.tocsr(), batch), model.apply(x, batch))
    seen = Scvi(epochs=1, min_spots=2).fit(x, batch, np.random.default_rng(0)).model
    assert seen.genes.tolist() == list(range(30))


def test_rows_without_counts_of_the_chosen_genes_are_told_of_and_not_trained_on(counts):
    x, _, batch = counts
    x = sp.csr_matrix(np.hstack([x.toarray(), np.eye(200, 3, dtype=np.int32)]))
    empty = x.tolil()
    empty[:2, :30] = 0
    empty = empty.tocsr()
    with pytest.warns(TriptychWarning, match="2 rows have no counts of the 30 genes in use"):
        fit = Scvi(epochs=1, min_spots=2).fit(empty, batch, np.random.default_rng(0))
    assert np.array_equal(fit.value[0], fit.value[1])
    assert np.isfinite(fit.value).all()
    without = Scvi(epochs=1, min_spots=2).fit(empty[2:], batch[2:], np.random.default_rng(0))
    assert np.array_equal(fit.value[2:], without.value)
    with pytest.warns(TriptychWarning, match="scvi: 2 rows have no counts"):
        again = fit.model.apply(empty, batch)
    assert np.array_equal(again[:2], fit.value[:2])
    with pytest.raises(DataError, match="none of 33 genes is seen in 999 rows. Lower min_spots"):
        Scvi(min_spots=999).align(x, batch, np.random.default_rng(0))


def test_genes_and_layers_that_do_not_belong_together_are_no_model(counts):
    x, _, batch = counts
    model = Scvi(epochs=1).fit(x, batch, np.random.default_rng(0)).model
    for changed in ({"columns": 29}, {"genes": model.genes[:5]}, {"genes": model.genes[:0]}, {"weights": {}}):
        with pytest.raises(ValueError):
            replace(model, **changed)


def test_seed_decides(counts):
    x, _, batch = counts
    one, same, other = (Scvi(epochs=1).align(x, batch, np.random.default_rng(s)) for s in (0, 0, 1))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_dense_counts_and_other_types_give_the_same(counts):
    x, _, batch = counts
    forms = x, x.toarray(), x.astype(np.float64)
    found = [Scvi(epochs=1).align(form, batch, np.random.default_rng(0)).tobytes() for form in forms]
    assert len(set(found)) == 1


def test_the_world_is_left_as_it_was(counts, tmp_path, monkeypatch, capfd, recwarn):
    import scvi

    monkeypatch.chdir(tmp_path)
    x, _, batch = counts
    x.data.flags.writeable = False

    def world():
        return (
            random.getstate(), np.random.get_state()[1].tobytes(),  # noqa: NPY002
            torch.get_rng_state().numpy().tobytes(), torch.get_num_threads(), torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(), scvi.settings.seed,
            logging.getLogger("scvi").level, logging.getLogger("lightning.pytorch").level,
        )  # fmt: skip

    torch.set_num_threads(2)
    before, kept = world(), len(scvi.model.SCVI._setup_adata_manager_store)
    Scvi(epochs=1).align(x, batch, np.random.default_rng(0))
    assert world() == before
    torch.set_num_threads(1)
    assert len(scvi.model.SCVI._setup_adata_manager_store) == kept
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("n", [3, 128, 129, 130, 131, 257, 258])
def test_no_minibatch_is_too_small(n, rng):
    x = rng.poisson(3, (n, 5))
    found = Scvi(latent=2, hidden=4, epochs=1).align(x, np.arange(n) % 2, np.random.default_rng(0))
    assert np.isfinite(found).all()


def test_epochs_are_told(counts):
    x, _, batch = counts
    told = []
    with listening(lambda *what: told.append(what)):
        Scvi(epochs=3).align(x, batch, np.random.default_rng(0))
    assert told == [("scvi", done, 3) for done in range(4)]


@pytest.mark.parametrize(("longest", "decay_at"), [(4, 20_000), (4, 100), (40, 5)])
def test_without_epochs_the_rule_of_the_library_decides(counts, longest, decay_at, monkeypatch):
    from scvi.model._utils import get_max_epochs_heuristic

    import triptych.aligners.scvi as module

    x, _, batch = counts
    done = []
    monkeypatch.setattr(module, "LONGEST", longest)
    monkeypatch.setattr(module, "DECAY_AT", decay_at)
    with listening(lambda *what: done.append(what)):
        Scvi(latent=2, hidden=2).align(x, batch, np.random.default_rng(0))
    wanted = get_max_epochs_heuristic(200, longest, decay_at)
    assert done[-1] == ("scvi", wanted, wanted)


def test_faults(counts, rng):
    x = np.array([[0.5, -1.0], [0, 0], [1, np.nan]])
    with pytest.raises(DataError) as caught:
        Scvi().align(x, np.array([0, -1]), rng)
    for words in (
        "not whole numbers", "are negative", "3 rows but 2 batch codes", "some rows have no batch",
        "1 rows have no counts", "x: layers:counts",
    ):  # fmt: skip
        assert words in str(caught.value)
    with pytest.raises(DataError, match="2 rows are too few"):
        Scvi().align(np.ones((2, 3)), np.zeros(2, int), rng)


def test_a_missing_package_is_told(counts, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "scvi", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'triptych\[align\]'"):
        Scvi().align(counts[0], counts[2], rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"latent": 0}, "latent"),
        ({"layers": 0}, "layers"),
        ({"hidden": 0}, "hidden"),
        ({"epochs": -1}, "epochs"),
        ({"hvg": -1}, "hvg"),
        ({"min_spots": -1}, "min_spots"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Scvi(**params)


def test_a_step_reads_the_counts_of_the_table(table):
    import triptych as tp

    tp.align(table, "scvi", x="layers:counts", to="obsm:X_rna.scvi", latent=3, hidden=8, epochs=1)
    assert table.obsm["X_rna.scvi"].shape == (table.n_obs, 3)
    with pytest.raises(DataError, match=r"harmony: it takes a dense view, and this is sparse"):
        tp.align(table, "harmony", x="layers:counts", to="obsm:X_rna.harmony")


def test_two_threads_get_what_one_gets(counts):
    from concurrent.futures import ThreadPoolExecutor

    x, _, batch = counts

    def found(seed):
        return Scvi(epochs=2).align(x, batch, np.random.default_rng(seed)).tobytes()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(found, (0, 1))) == [found(0), found(1)]
