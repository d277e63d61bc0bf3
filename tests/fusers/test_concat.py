"""Side by side, balanced and weighted."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.fusers.concat import Concat, FittedConcat


@pytest.fixture
def places(rng):
    return Places(rng.uniform(0, 100, (50, 2)), np.zeros(50, int))


@pytest.fixture
def views(rng):
    return {"rna": rng.normal(3, 5, (50, 8)), "img": rng.normal(0, 0.1, (50, 2))}


def test_each_view_counts_equally(views, places, rng):
    found = Concat().fuse(views, places, rng)
    img, rna = found[:, :2], found[:, 2:]  # in the order of the names
    assert np.isclose(img.var(axis=0).sum(), 1)
    assert np.isclose(rna.var(axis=0).sum(), 1)
    z = (views["rna"] - views["rna"].mean(axis=0)) / views["rna"].std(axis=0)
    assert np.allclose(rna, z / np.sqrt(8))


def test_balance_without_standardising_keeps_the_shape_of_a_view(views, places, rng):
    found = Concat(standardise=False).fuse(views, places, rng)[:, 2:]
    ratio = found / views["rna"]
    assert np.allclose(ratio, ratio[0, 0])
    assert np.isclose(found.var(axis=0).sum(), 1)


def test_plain(views, places, rng):
    found = Concat(standardise=False, balance=False).fuse(views, places, rng)
    assert np.array_equal(found, np.hstack([views["img"], views["rna"]]))


def test_weights_multiply(views, places, rng):
    plain, weighted = (Concat(weights=w).fuse(views, places, rng) for w in ({}, {"img": 3.0}))
    assert np.allclose(weighted[:, :2], 3 * plain[:, :2])
    assert np.array_equal(weighted[:, 2:], plain[:, 2:])


def test_the_order_of_views_does_not_matter(views, places, rng):
    turned = dict(reversed(views.items()))
    assert np.array_equal(Concat().fuse(views, places, rng), Concat().fuse(turned, places, rng))


def test_constant_columns_become_zero(places, rng):
    found = Concat().fuse({"rna": np.full((50, 2), 0.1), "img": rng.normal(size=(50, 1))}, places, rng)
    assert (found[:, 1:] == 0).all()


def test_all_faults_are_told_together(views, places, rng):
    views["rna"] = views["rna"][:40]
    views["img"][0, 0] = np.nan
    with pytest.raises(DataError) as caught:
        Concat(weights={"imgs": 2.0}).fuse(views, places, rng)
    text = str(caught.value)
    assert "the view rna has 40 rows but there are 50 places" in text
    assert "the view img has values that are not finite" in text
    assert "a weight for imgs" in text
    assert "Did you mean img?" in text


def test_no_view_is_refused(places, rng):
    with pytest.raises(DataError, match="there is no view"):
        Concat().fuse({}, places, rng)


def test_a_vector_is_refused(places, rng):
    with pytest.raises(DataError, match=r"the view rna has shape \(50,\)"):
        Concat().fuse({"rna": np.zeros(50)}, places, rng)


@pytest.mark.parametrize("params", [{}, {"balance": False}, {"standardise": False}, {"clip": 2.0}])
def test_a_sparse_view_gives_what_the_dense_one_does(views, places, rng, params, monkeypatch):
    monkeypatch.setattr("triptych.fusers.concat.ROWS", 7)
    views["rna"] = np.where(views["rna"] > 0.5, views["rna"], 0.0)
    views["rna"][:, 2] = 0.0
    dense = Concat(**params).fuse(views, places, rng)
    sparse = Concat(**params).fuse({**views, "rna": sp.csr_matrix(views["rna"])}, places, rng)
    assert sparse.dtype == np.float32
    assert np.allclose(sparse, dense, rtol=1e-6, atol=1e-6)


def test_values_are_clipped_before_the_views_are_weighed(places, rng):
    x = np.zeros((50, 1))
    x[0] = 1.0  # seven deviations
    found = Concat(clip=3.0, weights={"x": 2.0}).fuse({"x": x}, places, rng)
    assert found.max() == pytest.approx(6.0)
    assert found.min() == pytest.approx(2 * (0 - x.mean()) / x.std())


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"clip": -1.0}, "clip must be 0 or a positive"),
        ({"clip": 1.0, "standardise": False}, "standardise too"),
    ],
)
def test_a_clip_without_sense_is_refused(params, match):
    with pytest.raises(ValueError, match=match):
        Concat(**params)


def test_sparse_views_that_are_too_large_when_dense_are_refused(places, rng, monkeypatch):
    monkeypatch.setattr("triptych.fusers.concat.LARGEST_GB", 1e-6)
    with pytest.raises(DataError, match="the sparse view rna would take 0 GB when dense. Encode the genes"):
        Concat().fuse({"rna": sp.csr_matrix(np.eye(50))}, places, rng)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="weights must not be negative, see rna"):
        Concat(weights={"rna": -1.0})


def test_others_are_brought_to_the_scales_of_the_fit(views, places, rng):
    views["img"][:, 1] = 0.1  # constant in the fit: it says nothing there, and nothing later
    model = Concat(weights={"img": 3.0}).fit(views, places, rng).model
    others = {"rna": rng.normal(0, 1, (9, 8)), "img": rng.normal(5, 1, (9, 2))}
    found = model.apply(others, Places(np.zeros((9, 2)), np.zeros(9, int)))
    z = (others["img"][:, 0] - views["img"][:, 0].mean()) / views["img"][:, 0].std()
    assert np.allclose(found[:, 0], 3 * z)
    assert (found[:, 1] == 0).all()
    expected = (others["rna"] - views["rna"].mean(axis=0)) / views["rna"].std(axis=0) / np.sqrt(8)
    assert np.allclose(found[:, 2:], expected)


@pytest.mark.parametrize("params", [{}, {"standardise": False}, {"standardise": False, "balance": False}])
def test_the_model_gives_the_fit_its_own_bits(views, places, rng, params):
    value, model = Concat(**params).fit(views, places, rng)
    assert model.apply(views, places).tobytes() == value.tobytes()


def test_all_that_differs_from_the_fit_is_told_together(views, places, rng):
    model = Concat().fit(views, places, rng).model
    with pytest.raises(DataError) as caught:
        model.apply({"rna": views["rna"][:, :3], "pos": views["img"]}, places)
    assert "the model was fitted with img, rna; img is missing" in str(caught.value)
    assert "the model was not fitted with pos" in str(caught.value)
    assert "the view rna has shape (50, 3); the fit had 8 columns" in str(caught.value)


def test_a_sparse_view_is_applied_as_the_dense_one(views, places, rng):
    model = Concat().fit(views, places, rng).model
    sparse = model.apply(views | {"rna": sp.csr_matrix(views["rna"])}, places)
    assert np.allclose(sparse, model.apply(views, places), atol=1e-6)


def test_a_model_whose_parts_do_not_fit_is_refused():
    one = {"rna": np.ones(2)}
    with pytest.raises(ValueError, match="the arrays of rna do not fit its 3 columns"):
        FittedConcat({"rna": 3}, one, one, {"rna": 1.0})
    with pytest.raises(ValueError, match="every role needs one factor"):
        FittedConcat({"rna": 2}, one, one, {"img": 1.0})
