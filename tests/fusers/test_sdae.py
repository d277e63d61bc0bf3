"""The two autoencoders: scale of their inputs, sparse views, what a model keeps, errors at the door."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, NumericsError, RecipeError
from triptych.core.protocols import Places
from triptych.fusers import registry
from triptych.fusers.autoencoder import Autoencoder
from triptych.fusers.encoded import FittedEncoder, Scale
from triptych.fusers.sdae import Sdae

TINY = {"latent": 3, "hidden": (16,), "least_steps": 20, "epochs": 1}
BOTH = pytest.mark.parametrize("fuser", [Autoencoder(**TINY), Sdae(**TINY, pretraining=1)])


@pytest.fixture
def places(rng):
    return Places(rng.uniform(0, 100, (60, 2)), np.zeros(60, int))


@pytest.fixture
def views(rng):
    return {
        "rna": sp.csr_matrix(rng.poisson(0.5, (60, 9)).astype(float)),
        "img": rng.normal(3, 5, size=(60, 4)),
    }


def inputs(views, *, standardise=True, balance=False, weights=None, clip=0.0):
    return Scale(standardise, balance, weights or {}, clip).inputs("sdae", views).take(slice(None))


def test_views_lie_in_the_order_of_their_names_with_every_column_alike(views):
    dense = np.hstack([views["img"], views["rna"].toarray()])
    expected = (dense - dense.mean(axis=0)) / dense.std(axis=0)
    assert np.allclose(inputs(views), expected, atol=1e-5)


def test_balanced_views_have_the_same_total(views):
    found = np.square(inputs(views, balance=True)).mean(axis=0)
    assert found[:4].sum() == pytest.approx(13 / 2, rel=1e-4)
    assert found[4:].sum() == pytest.approx(13 / 2, rel=1e-4)


def test_weights_multiply_views(views):
    plain, found = inputs(views), inputs(views, weights={"rna": 3.0})
    ratio = found / plain
    assert np.allclose(ratio[:, 4:] / ratio[0, 0], 3, rtol=1e-4)
    assert np.square(found).mean() == pytest.approx(1, rel=1e-4)


def test_views_scaled_before_keep_their_balance_without_standardising(views):
    made = np.hstack([views["img"] * 5, views["rna"].toarray()])
    found = inputs({"x": made}, standardise=False).std(axis=0)
    assert np.allclose(found / made.std(axis=0), found[0] / made[:, 0].std(), rtol=1e-4)


@BOTH
def test_a_sparse_view_gives_what_the_same_dense_one_gives(fuser, views, places):
    dense = views | {"rna": views["rna"].toarray()}
    one, other = (fuser.fuse(v, places, np.random.default_rng(2)) for v in (views, dense))
    assert np.array_equal(one, other)
    assert one.dtype == np.float32
    assert one.shape == (60, 3)


@BOTH
def test_the_model_says_how_well_it_reconstructs(fuser, views, places, rng):
    losses = fuser.fit(views, places, rng).model.losses
    assert losses[-1] < losses[0] < 3


@BOTH
def test_a_model_comes_back_from_a_folder(fuser, views, places, rng, tmp_path):
    model = fuser.fit(views, places, rng).model
    model.save(tmp_path / "model")
    again = fuser.restore(tmp_path / "model")
    assert again.roles == {"img": 4, "rna": 9}
    assert again.latent == 3
    assert again.losses == model.losses
    assert np.array_equal(again.apply(views, places), model.apply(views, places))


def test_teaching_layers_first_makes_another_code(views, places):
    one, other = (f(**TINY).fuse(views, places, np.random.default_rng(0)) for f in (Autoencoder, Sdae))
    assert not np.allclose(one, other)


def test_a_model_whose_parts_do_not_fit_is_refused(views, places, rng):
    model = Autoencoder(**TINY).fit(views, places, rng).model
    given = {name: getattr(model, name) for name in model.__dataclass_fields__}
    with pytest.raises(ValueError, match="its views have 5 columns, its scale 13"):
        FittedEncoder(**(given | {"roles": {"x": 5}}))
    with pytest.raises(ValueError, match=r"its scale has shape \(2,\); its network takes 13 columns"):
        FittedEncoder(**(given | {"mean": np.zeros(2)}))


@BOTH
def test_nothing_that_varies_is_refused(fuser, places, rng):
    with pytest.raises(DataError, match="no column of the views varies"):
        fuser.fuse({"rna": np.ones((60, 3))}, places, rng)
    with pytest.raises(DataError, match="no column of the views varies"):
        type(fuser)(weights={"rna": 0.0}).fuse({"rna": rng.normal(size=(60, 3))}, places, rng)


@BOTH
def test_views_that_do_not_fit_together_are_refused(fuser, views, places, rng):
    with pytest.raises(DataError, match=r"(autoencoder|sdae): the view rna has 59 rows"):
        fuser.fuse(views | {"rna": views["rna"][:59]}, places, rng)


@BOTH
def test_values_without_end_are_named_as_such(fuser, views, places, rng):
    with pytest.raises(NumericsError, match="Lower the learning rate"):
        type(fuser)(**TINY, optimiser="sgd", lr=1e6).fuse(views, places, rng)


@pytest.mark.parametrize("name", ["autoencoder", "sdae"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"latent": 0}, "at least 1"),
        ({"hidden": [500, 0]}, "at least 1"),
        ({"epochs": 0}, "at least 1"),
        ({"batch": 0}, "at least 1"),
        ({"least_steps": -1}, "least_steps and clip must not be negative"),
        ({"clip": -1.0}, "least_steps and clip must not be negative"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"weights": {"rna": -1.0}}, "weights must not be negative"),
        ({"optimiser": "rmsprop"}, "optimiser"),
    ],
)
def test_parameters_out_of_range(name, wrong, message):
    with pytest.raises(RecipeError, match=message):
        registry.make(name, wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"corruption": 1.0}, r"corruption must be in \[0, 1\)"), ({"pretraining": 0}, "at least 1")],
)
def test_parameters_of_pretraining_out_of_range(wrong, message):
    with pytest.raises(RecipeError, match=message):
        registry.make("sdae", wrong)
