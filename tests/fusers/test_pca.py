"""Principal components of views side by side, against scikit-learn."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.fusers.beside import column_scales, side_by_side
from triptych.fusers.concat import Concat
from triptych.fusers.pca import FittedPca, Pca


@pytest.fixture
def places():
    return Places(np.zeros((60, 2)), np.zeros(60, int))


@pytest.fixture
def views(rng):
    counts = rng.poisson(0.4, (60, 9)).astype(float)
    counts[:, 3] = 2.0  # constant
    return {"rna": counts, "img": rng.normal(50, 3, (60, 4)) * [1, 10, 100, 1e-3]}


def same_up_to_sign(one, other):
    return np.allclose(np.abs(one), np.abs(other), atol=1e-8)


def test_equal_to_scikit_learn_on_standardised_columns(views, places, rng):
    x = np.hstack([StandardScaler().fit_transform(views[role]) for role in ("img", "rna")])
    theirs = PCA(5, svd_solver="full").fit_transform(x)
    assert same_up_to_sign(Pca(components=5, balance=False).fuse(views, places, rng), theirs)


def test_columns_are_those_of_concat(views, places, rng):
    for weights in ({}, {"rna": 3.0}):
        joint = Concat(weights=weights).fuse(views, places, rng)
        theirs = PCA(4, svd_solver="full").fit_transform(joint)
        assert same_up_to_sign(Pca(components=4, weights=weights).fuse(views, places, rng), theirs)


def test_columns_may_be_left_as_they_are(views, places, rng):
    theirs = PCA(3, svd_solver="full").fit_transform(np.hstack([views["img"], views["rna"]]))
    found = Pca(components=3, standardise=False, balance=False).fuse(views, places, rng)
    assert same_up_to_sign(found, theirs)


@pytest.mark.parametrize("standardise", [True, False])
def test_a_view_of_no_dimension_counts_more_than_another(views, places, standardise):
    scale = column_scales(views, {}, standardise=standardise, balance=True)
    for role, view in views.items():
        assert (view * scale[role]).var(axis=0).sum() == pytest.approx(1)
    assert scale["rna"][3] == 0


def test_sparse_views_give_what_dense_ones_give(views, places, rng):
    sparse = {"rna": sp.csr_matrix(views["rna"]), "img": views["img"]}
    assert sp.issparse(side_by_side(sparse, column_scales(sparse, {}, standardise=True, balance=True)))
    one, other = Pca(components=6).fit(sparse, places, rng), Pca(components=6).fit(views, places, rng)
    assert np.allclose(one.value, other.value, atol=1e-9)
    assert np.allclose(one.model.apply(sparse, places), other.model.apply(views, places), atol=1e-9)


def test_sparse_views_of_many_columns_are_never_dense(places, rng, monkeypatch):
    view = sp.random(60, 1500, 0.05, format="csr", random_state=0)
    dense = view.toarray()
    for kind in (sp.csr_matrix, sp.csc_matrix):
        monkeypatch.setattr(kind, "toarray", lambda _: pytest.fail("it was made dense"))
        monkeypatch.setattr(kind, "todense", lambda _: pytest.fail("it was made dense"))
    found = Pca(components=5, standardise=False).fuse({"rna": view}, places, rng)
    assert same_up_to_sign(found, PCA(5, svd_solver="full").fit_transform(dense))


def test_others_are_projected_on_the_scales_of_the_fit(views, places, rng):
    model = Pca(components=4).fit(views, places, rng).model
    moved = {role: view + 1 for role, view in views.items()}
    change = model.apply(moved, places) - model.apply(views, places)
    expected = np.concatenate([model.scale[role] for role in model.roles]) @ model.loadings
    assert np.allclose(change, expected)


def test_too_many_components_are_refused(views, places, rng):
    with pytest.raises(DataError, match="32 components cannot be had from 60 observations × 13 features"):
        Pca().fuse(views, places, rng)


@pytest.mark.parametrize(
    ("params", "message"), [({"components": 0}, "components"), ({"weights": {"rna": -1.0}}, "weights")]
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Pca(**params)


def test_a_model_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="the scales do not fit the columns of the roles"):
        FittedPca(Pca(components=2), {"rna": 3}, {"rna": np.ones(2)}, np.zeros(3), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="do not fit 3 columns and 2 components"):
        FittedPca(Pca(components=2), {"rna": 3}, {"rna": np.ones(3)}, np.zeros(3), np.zeros((3, 1)))
