"""The component: what it learns, repeats, refuses, and keeps on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from triptych.core.errors import DataError, RecipeError, WeightsError
from triptych.core.models import ABOUT, ARRAYS
from triptych.core.protocols import Fuser, Places
from triptych.fusers import registry
from triptych.fusers.grid_fitted import FittedGridTriplet
from triptych.fusers.grid_labels import view_labels
from triptych.fusers.grid_triplet import GridTriplet, shares

QUICK = GridTriplet(epochs=4, hidden=8, latent=4, clusters=3)


def study(seed: int = 0, side: int = 14, noise: float = 1.5):
    """Stripes of three domains on a square array: two views, places, the domains."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    domain = grid[:, 0] * 3 // side
    means = np.random.default_rng(99).normal(size=(3, 6))
    rna = means[domain] + noise * rng.normal(size=(len(grid), 6))
    img = means[domain][:, :4] + noise * rng.normal(size=(len(grid), 4))
    places = Places(grid * 100.0, np.zeros(len(grid), dtype=int), grid, "square")
    return {"rna": rna, "img": img}, places, domain


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_it_finds_domains_that_one_spot_does_not_show():
    views, places, domain = study()
    z = GridTriplet(clusters=3, epochs=60, hidden=32).fuse(views, places, rng())
    ari = lambda x: adjusted_rand_score(domain, KMeans(3, n_init=10, random_state=0).fit_predict(x))  # noqa: E731
    assert z.shape == (len(domain), 16)
    assert ari(z) > 0.8
    assert ari(z) > ari(np.hstack(list(views.values()))) + 0.2


def test_the_loss_falls():
    views, places, _ = study()
    losses = GridTriplet(epochs=60, hidden=32, clusters=3).fit(views, places, rng()).model.losses
    assert len(losses) == 60
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("batch", [50, 8192])
def test_the_same_seed_gives_the_same_bits(batch):
    views, places, _ = study()
    fuser = GridTriplet(epochs=3, hidden=8, clusters=3, batch=batch)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = fuser.fuse(views, places, rng(5))
    assert torch.equal(torch.get_rng_state(), state)  # torch's own state is neither read nor changed
    torch.manual_seed(2)
    np.testing.assert_array_equal(fuser.fuse(views, places, rng(5)), first)
    assert np.abs(fuser.fuse(views, places, rng(6)) - first).max() > 1e-3


def test_embedding_is_equal_on_shuffled_rows():
    views, places, _ = study()
    fitted = QUICK.fit(views, places, rng()).model
    z = fitted.apply(views, places)
    order = rng().permutation(len(z))
    moved = Places(places.um[order], places.sample[order], places.grid[order], "square")
    again = fitted.apply({role: view[order] for role, view in views.items()}, moved)
    np.testing.assert_array_equal(again, z[order])


def test_sections_do_not_see_each_other():
    views, places, _ = study()
    fitted = QUICK.fit(views, places, rng()).model
    other, _, _ = study(seed=7)
    both = {role: np.vstack([views[role], other[role]]) for role in views}
    n = len(places.um)
    joint = Places(np.vstack([places.um] * 2), np.repeat([0, 1], n), np.vstack([places.grid] * 2), "square")
    z = fitted.apply(both, joint)
    np.testing.assert_array_equal(z[:n], fitted.apply(views, places))
    np.testing.assert_array_equal(z[n:], fitted.apply(other, places))


@pytest.mark.parametrize("window", [1, 3, 5, 7])
@pytest.mark.parametrize("roles", [("rna",), ("rna", "img")])
def test_windows_and_numbers_of_views(window, roles):
    views, places, _ = study(side=6)
    fuser = GridTriplet(window=window, epochs=2, hidden=8, latent=4, clusters=3)
    z = fuser.fuse({role: views[role] for role in roles}, places, rng())
    assert z.shape == (36, 4)
    assert np.isfinite(z).all()


def test_the_order_of_views_does_not_matter():
    views, places, _ = study(side=6)
    turned = dict(reversed(views.items()))
    np.testing.assert_array_equal(QUICK.fuse(views, places, rng()), QUICK.fuse(turned, places, rng()))


def test_cells_without_an_array():
    views, places, _ = study()
    jitter = rng().uniform(-30, 30, places.um.shape)
    z = QUICK.fuse(views, Places(places.um + jitter, places.sample), rng())
    assert np.isfinite(z).all()


def test_context_of_one_is_pointwise():
    views, places, _ = study()
    fitted = GridTriplet(window=1, epochs=2, hidden=8, clusters=3).fit(views, places, rng()).model
    moved = Places(places.um, places.sample, places.grid[rng().permutation(len(places.um))], "square")
    np.testing.assert_array_equal(fitted.apply(views, moved), fitted.apply(views, places))


def test_visium_under_both_lattices():
    views, places, _ = study()
    grid = places.grid * [2, 1] + np.stack([places.grid[:, 1] % 2, 0 * places.grid[:, 1]], axis=1)
    hexagonal = Places(places.um, places.sample, grid, "hex")
    codes = [
        GridTriplet(epochs=2, hidden=8, clusters=3, lattice=lattice).fuse(views, hexagonal, rng())
        for lattice in ("array", "axial")
    ]
    assert np.abs(codes[0] - codes[1]).max() > 1e-3


def test_monte_carlo_is_near_and_repeats():
    views, places, _ = study()
    fitted = GridTriplet(epochs=4, hidden=8, clusters=3, monte_carlo=20).fit(views, places, rng()).model
    z = fitted.apply(views, places)
    np.testing.assert_array_equal(fitted.apply(views, places), z)


def test_a_constant_view_gives_no_triplets():
    views, places, _ = study()
    views["img"] = np.ones_like(views["img"])
    fitted = QUICK.fit(views, places, rng()).model
    assert np.isfinite(fitted.apply(views, places)).all()
    assert view_labels(views["img"], 3, rng())[1] == 1


def test_k_means_on_a_part_applies_to_all(monkeypatch):
    views, _, _ = study(noise=0.1)
    whole, k = view_labels(views["rna"], 3, rng())
    monkeypatch.setattr("triptych.fusers.grid_labels.FIT_ROWS", 60)
    part, k_part = view_labels(views["rna"], 3, rng())
    assert k == k_part == 3
    assert adjusted_rand_score(whole, part) > 0.95


def test_weights_share_a_total_of_three():
    assert shares({}, ["rna"]) == {"rna": 3.0}
    assert shares({}, ["img", "rna"]) == {"img": 1.5, "rna": 1.5}
    assert shares({"img": 2.0}, ["img", "rna"]) == {"img": 2.0, "rna": 1.0}
    assert shares({"img": 4.0}, ["img", "rna"]) == {"img": 4.0, "rna": 0.0}


def test_save_and_load(tmp_path):
    views, places, _ = study()
    fitted = GridTriplet(epochs=3, hidden=8, clusters=3, weights={"img": 1.0}).fit(views, places, rng()).model
    fitted.save(tmp_path / "model")
    loaded = FittedGridTriplet.load(tmp_path / "model")
    assert loaded.component == fitted.component
    assert loaded.losses == fitted.losses
    other, _, _ = study(seed=3)
    np.testing.assert_array_equal(loaded.apply(other, places), fitted.apply(other, places))
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [ARRAYS, ABOUT]


def test_loading_what_is_no_model(tmp_path):
    views, places, _ = study(side=6)
    with pytest.raises(WeightsError, match="holds no arrays.safetensors"):
        FittedGridTriplet.load(tmp_path)
    QUICK.fit(views, places, rng()).model.save(tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text())
    values, known = about["values"], about["values"]["component"]
    for change, message in (
        ({"roles": {"rna": 5}}, "its ranges have shape"),
        ({"component": known | {"hidden": 9}}, "its weights do not fit its parameters"),
        ({"component": known | {"window": 4}}, "window must be odd"),
    ):
        (tmp_path / ABOUT).write_text(json.dumps(about | {"values": values | change}))
        with pytest.raises(WeightsError, match=f"is not a saved FittedGridTriplet: [\\s\\S]*{message}"):
            FittedGridTriplet.load(tmp_path)
    (tmp_path / ABOUT).write_text(json.dumps(about))
    (tmp_path / ARRAYS).write_bytes(b"not safetensors")
    with pytest.raises(WeightsError, match="is not a saved FittedGridTriplet"):
        FittedGridTriplet.load(tmp_path)


def test_faults_of_the_data_are_named():
    views, places, _ = study(side=6)
    refused = [
        ({}, "no view"),
        ({"rna": views["rna"][:5]}, "5 rows but there are 36 places"),
        ({"rna": views["rna"] * np.nan}, "not finite"),
        ({"rna": sp.csr_matrix(views["rna"])}, "sparse"),
    ]
    for given, message in refused:
        with pytest.raises(DataError, match=message):
            QUICK.fit(given, places, rng())
    with pytest.raises(DataError, match="weight for image"):
        GridTriplet(weights={"image": 1.0}).fit(views, places, rng())
    one = Places(places.um[:1], places.sample[:1], places.grid[:1], "square")
    with pytest.raises(DataError, match="at least 2"):
        QUICK.fit({"rna": views["rna"][:1]}, one, rng())


def test_a_fitted_model_names_what_differs():
    views, places, _ = study(side=6)
    fitted = QUICK.fit(views, places, rng()).model
    with pytest.raises(DataError, match="img is missing"):
        fitted.apply({"rna": views["rna"]}, places)
    with pytest.raises(DataError, match="not fitted with pos"):
        fitted.apply(views | {"pos": places.um}, places)
    with pytest.raises(DataError, match="the fit had 6 columns"):
        fitted.apply(views | {"rna": views["rna"][:, :5]}, places)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 4}, "window must be odd"),
        ({"latent": 0}, "latent must be at least 1"),
        ({"clusters": 1}, "clusters must be at least 2"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"margin": -1.0}, "margin must not be negative"),
        ({"triplet": 0.0, "reconstruction": 0.0}, "nothing is left to learn"),
        ({"weights": {"rna": -1.0}}, "weights must not be negative"),
        ({"lattice": "triangle"}, "lattice"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(RecipeError, match=message):
        registry.make("grid-triplet", params)


def test_it_is_a_fuser_and_a_value():
    made = registry.make("grid-triplet", {"window": 3})
    assert isinstance(made, Fuser)
    assert made == GridTriplet(window=3)
    assert hash(made) == hash(GridTriplet(window=3))
