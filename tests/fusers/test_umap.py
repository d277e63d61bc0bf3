"""UMAP: groups stay together, rows that were not fitted fall where their neighbours are."""

import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, MissingExtraError
from triptych.core.protocols import Places
from triptych.fusers.umap import Umap
from triptych.fusers.umap_fitted import FittedUmap

SMALL = {"components": 2, "neighbours": 8}


@pytest.fixture
def _installed():
    pytest.importorskip("umap", reason="the extra umap is not installed")


def places(n):
    return Places(np.zeros((n, 2)), np.zeros(n, int))


@pytest.fixture
def truth():
    return np.repeat([0, 1, 2], [70, 50, 30])


@pytest.fixture
def views(rng, truth):
    return {"rna": rng.normal(size=(150, 6)) + 9 * np.eye(6)[truth]}


def together(value, truth):
    """Share of rows whose nearest other row is of their own group."""
    square = ((value[:, None] - value) ** 2).sum(axis=2)
    np.fill_diagonal(square, np.inf)
    return (truth[square.argmin(axis=1)] == truth).mean()


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("most", [20_000, 60])
def test_groups_stay_together(views, truth, rng, most):
    value, model = Umap(**SMALL, most=most).fit(views, places(150), rng)
    assert value.shape == (150, 2)
    assert len(model.space) == min(most, 150)
    assert together(value, truth) == 1.0
    assert np.allclose(model.apply(views, places(150)), value, atol=1e-6)


@pytest.mark.usefixtures("_installed")
def test_rows_never_seen_fall_among_their_group(views, truth, rng):
    value, model = Umap(**SMALL).fit(views, places(150), rng)
    found = model.apply({"rna": views["rna"] + rng.normal(0, 0.3, (150, 6))}, places(150))
    square = ((found[:, None] - value) ** 2).sum(axis=2)
    assert (truth[square.argmin(axis=1)] == truth).all()


@pytest.mark.usefixtures("_installed")
def test_many_columns_are_reduced_first_and_sparse_ones_too(views, truth, rng):
    wide = {"rna": sp.csr_matrix(views["rna"] @ rng.normal(size=(6, 80)))}
    value, model = Umap(**SMALL, principal=10).fit(wide, places(150), rng)
    assert model.space.shape == (150, 10)
    assert together(value, truth) == 1.0
    assert np.allclose(model.apply(wide, places(150)), value, atol=1e-6)
    whole = Umap(**SMALL, principal=0).fit(wide, places(150), rng)
    assert whole.model.space.shape == (150, 80)
    assert whole.model.loadings is None
    assert np.allclose(whole.model.apply(wide, places(150)), whole.value, atol=1e-6)


@pytest.mark.usefixtures("_installed")
def test_nothing_is_said_that_a_reader_cannot_act_on(views, rng):
    apart = {"rna": np.vstack([views["rna"], views["rna"] + 1000])}  # a graph of several parts
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        Umap(**SMALL).fuse(apart, places(300), rng)


def test_rows_are_placed_by_the_inverse_square_of_the_distance(rng):
    space, embedding = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    model = FittedUmap(5, {"a": 3}, {"a": np.ones(3)}, None, None, space, embedding)
    x = rng.normal(size=(9, 3))
    for row, found in zip(x, model.apply({"a": x}, places(9)), strict=True):
        square = ((space - row) ** 2).sum(axis=1)
        near = np.argsort(square)[:5]
        assert np.allclose(found, np.average(embedding[near], axis=0, weights=1 / square[near]))
    assert np.allclose(model.apply({"a": space}, places(40)), embedding)


def test_rows_that_coincide_share_a_place():
    space, embedding = np.zeros((4, 1)), np.array([[0.0], [2], [4], [6]])
    model = FittedUmap(4, {"a": 1}, {"a": np.ones(1)}, None, None, space, embedding)
    assert model.apply({"a": np.array([[0.0], [1.0]])}, places(2)).tolist() == [[3.0], [3.0]]


def test_too_few_rows_are_refused(rng):
    with pytest.raises(DataError, match="umap: 20 observations are too few for 32 components") as caught:
        Umap().fuse({"rna": rng.normal(size=(20, 5))}, places(20), rng)
    assert "Ask for at most 18" in str(caught.value)


def test_without_the_package_the_extra_is_named(views, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match="umap is not installed"):
        Umap(**SMALL).fuse(views, places(150), rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"components": 0}, "components"),
        ({"neighbours": 1}, "neighbours"),
        ({"min_dist": 1.5}, "min_dist"),
        ({"principal": -1}, "principal"),
        ({"most": 33}, "most"),
        ({"weights": {"rna": -1.0}}, "weights"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Umap(**params)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scale": {"a": np.ones(2)}}, "the scales do not fit"),
        ({"mean": np.zeros(3)}, "lack their means or their loadings"),
        ({"mean": np.zeros(3), "loadings": np.zeros((3, 1))}, r"loadings of shape \(3, 1\)"),
        ({"space": np.zeros((4, 2))}, r"a space of shape \(4, 2\) does not fit 3 columns"),
        ({"embedding": np.zeros((3, 2))}, "a place for each row"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(changed, message):
    sound = {
        "neighbours": 2, "roles": {"a": 3}, "scale": {"a": np.ones(3)}, "mean": None, "loadings": None,
        "space": np.zeros((4, 3)), "embedding": np.zeros((4, 2)),
    }  # fmt: skip
    FittedUmap(**sound)
    with pytest.raises(ValueError, match=message):
        FittedUmap(**sound | changed)
