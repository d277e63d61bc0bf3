"""Principal components against scikit-learn on the dense matrix."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from sklearn.decomposition import PCA

from triptych.core.errors import DataError, NumericsError
from triptych.maths import pca
from triptych.maths.pca import principal_components, projected


@pytest.fixture
def x(rng):
    signal = rng.normal(size=(120, 6)) @ rng.normal(size=(6, 45)) * 2
    return np.maximum(signal + rng.normal(size=(120, 45)) + 1, 0)


def reference(x, components):
    model = PCA(components, svd_solver="full").fit(x)
    loadings = model.components_.T
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(components)])
    return model.transform(x) * signs


@pytest.mark.parametrize("kind", ["dense", "sparse", "operator"])
@pytest.mark.parametrize("gram", [1000, 0])
def test_equal_to_the_dense_decomposition(x, rng, kind, gram, monkeypatch):
    monkeypatch.setattr(pca, "GRAM", gram)
    monkeypatch.setattr(pca, "BLOCK", 50)
    form = {"dense": x, "sparse": sp.csr_matrix(x), "operator": spla.aslinearoperator(x)}[kind]
    found = principal_components(form, 8, rng)
    assert np.abs(found.scores - reference(x, 8)).max() < 1e-6
    assert np.allclose(found.loadings.T @ found.loadings, np.eye(8))
    assert (np.diff(found.scores.var(axis=0)) <= 0).all()


@pytest.mark.parametrize("gram", [1000, 0])
def test_same_seed_same_bits(x, gram, monkeypatch):
    monkeypatch.setattr(pca, "GRAM", gram)
    runs = [principal_components(sp.csr_matrix(x), 5, np.random.default_rng(3)).scores for _ in range(2)]
    assert runs[0].tobytes() == runs[1].tobytes()


def test_more_columns_than_rows(rng):
    x = rng.normal(size=(20, 1500))
    assert np.abs(principal_components(x, 4, rng).scores - reference(x, 4)).max() < 1e-6


def test_other_rows_are_projected_as_by_the_reference(x, rng):
    found = principal_components(x[:80], 5, rng)
    model = PCA(5, svd_solver="full").fit(x[:80])
    assert np.allclose(found.mean, model.mean_)
    others = projected(sp.csr_matrix(x[80:]), found.loadings, found.mean)
    assert np.abs(np.abs(others) - np.abs(model.transform(x[80:]))).max() < 1e-6
    assert np.abs(projected(x[:80], found.loadings, found.mean) - found.scores).max() < 1e-12


@pytest.mark.parametrize("components", [0, 5, 9])
def test_too_many_components_are_refused(rng, components):
    with pytest.raises(DataError, match=f"{components} components cannot be had from 5 observations × 9"):
        principal_components(rng.normal(size=(5, 9)), components, rng)


def test_iterations_that_do_not_converge_are_told(x, rng, monkeypatch):
    def never(*args, **kwargs):
        raise spla.ArpackNoConvergence("no", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr(pca, "GRAM", 0)
    monkeypatch.setattr(pca.spla, "eigsh", never)
    with pytest.raises(NumericsError, match="did not converge"):
        principal_components(x, 3, rng)
