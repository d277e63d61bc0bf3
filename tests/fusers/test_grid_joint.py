"""The component: sections mix, what one has alone stays apart; and what it repeats, keeps and refuses."""

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
from triptych.core.protocols import Fits, Fuser, Places
from triptych.fusers import registry
from triptych.fusers.grid_joint import GridJoint
from triptych.fusers.grid_joint_matching import brought_together, draw_anchors, mutual_pairs, partner_table
from triptych.maths.graphs import averaging
from triptych.maths.neighbours import nearest
from triptych.metrics.ilisi import Ilisi

QUICK = GridJoint(epochs=3, hidden=8, latent=4, clusters=3)
SMALL = GridJoint(epochs=40, hidden=24, latent=8)
PRIVATE = 3


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def study(seed: int = 1, side: int = 12, shift: float = 3.0, sections: int = 2, private: bool = True):
    """Stripes of three domains in each section, shifted by section; a fourth domain in the second one."""
    draw = rng(seed)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    means = 2 * rng(99).normal(size=(4, 8))
    x, domains = [], []
    for section in range(sections):
        domain = grid[:, 0] * 3 // side
        if private and section == 1:
            domain = np.where(grid[:, 1] < side // 3, PRIVATE, domain)
        moved = shift * draw.normal(size=8) / np.sqrt(2)
        x.append(means[domain] + moved + 1.5 * draw.normal(size=(len(grid), 8)))
        domains.append(domain)
    sample = np.repeat(np.arange(sections), len(grid))
    places = Places(np.tile(grid * 100.0, (sections, 1)), sample, np.tile(grid, (sections, 1)), "square")
    return {"rna": np.vstack(x)}, places, np.concatenate(domains)


def mixing(z, places, domain):
    shared = domain != PRIVATE
    return Ilisi(neighbours=45).value(nearest(z[shared], 45), places.sample[shared])


def rand(z, domain):
    kinds = len(np.unique(domain))
    return adjusted_rand_score(domain, KMeans(kinds, n_init=10, random_state=0).fit_predict(z))


@pytest.fixture(scope="module")
def shifted():
    views, places, domain = study()
    return views, places, domain, SMALL.fit(views, places, rng())


def test_sections_mix_and_domains_come_out(shifted):
    views, places, domain, fit = shifted
    assert mixing(views["rna"], places, domain) < 0.05
    assert mixing(fit.value, places, domain) > 0.4
    assert rand(fit.value, domain) > max(0.85, rand(views["rna"], domain) + 0.2)


def test_what_one_section_has_alone_stays_apart(shifted):
    _, _, domain, fit = shifted
    around = nearest(fit.value, 16).indices[domain == PRIVATE][:, 1:]
    assert np.mean(domain[around] == PRIVATE) > 0.9


def test_without_pairs_and_clusters_sections_stay_apart(shifted):
    views, places, domain, fit = shifted
    alone = GridJoint(epochs=40, hidden=24, latent=8, triplet=0, pairing=0, centre=False)
    z = alone.fuse(views, places, rng())
    assert mixing(z, places, domain) < mixing(fit.value, places, domain) / 3


def test_a_decoder_that_is_not_told_the_section_keeps_it_in_the_codes(shifted):
    """With much weight on reconstruction it matters who tells the section: the codes, or the side."""
    views, places, domain, _ = shifted
    told, untold = (
        GridJoint(
            epochs=60, hidden=24, latent=8, reconstruction=10.0, centre=False, conditional=conditional
        ).fuse(views, places, rng())
        for conditional in (True, False)
    )
    assert mixing(told, places, domain) > mixing(untold, places, domain) + 0.1


def test_a_section_of_an_unknown_batch_falls_in_place(shifted):
    fit = shifted[3]
    views, places, other = study(seed=5, sections=1)
    model = KMeans(4, n_init=10, random_state=0).fit(fit.value)
    z = fit.model.apply(views, places)
    assert adjusted_rand_score(other, model.predict(z.astype(model.cluster_centers_.dtype))) > 0.7


def test_energy_mixes_further(shifted):
    views, places, domain, _ = shifted
    plain, mixed = (
        GridJoint(epochs=40, hidden=24, latent=8, pairing=0, mixing=weight).fuse(views, places, rng())
        for weight in (0.0, 2.0)
    )
    assert mixing(mixed, places, domain) > mixing(plain, places, domain)


def test_the_loss_falls(shifted):
    losses = shifted[3].model.losses
    assert len(losses) == 40
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("change", [{}, {"batch": 100}, {"refresh": 2}, {"anchors": 50}])
def test_the_same_seed_gives_the_same_bits(change):
    views, places, _ = study(side=10)
    fuser = GridJoint(epochs=3, hidden=8, latent=4, clusters=3, **change)
    state = torch.get_rng_state()
    first = fuser.fuse(views, places, rng(5))
    assert torch.equal(torch.get_rng_state(), state)  # torch's own state is neither read nor changed
    np.testing.assert_array_equal(fuser.fuse(views, places, rng(5)), first)
    assert np.abs(fuser.fuse(views, places, rng(6)) - first).max() > 1e-3


def test_saving_loading_and_applying_keep_the_bits(tmp_path):
    views, places, _ = study(side=10)
    both = views | {"img": views["rna"][:, :3] * 2}
    component = GridJoint(epochs=3, hidden=8, latent=4, clusters=3, weights={"img": 0.5})
    value, model = component.fit(both, places, rng())
    np.testing.assert_array_equal(model.apply(both, places), value)
    np.testing.assert_array_equal(component.fuse(both, places, rng()), value)
    model.save(tmp_path / "model")
    loaded = component.restore(tmp_path / "model")
    assert loaded.component == component
    assert loaded.losses == model.losses
    np.testing.assert_array_equal(loaded.apply(both, places), value)


def test_names_of_sections_do_not_matter_when_applying():
    views, places, _ = study(side=10)
    value, model = QUICK.fit(views, places, rng())
    last = places.sample == 1
    alone = Places(places.um[last], np.zeros(last.sum(), int), places.grid[last], "square")
    np.testing.assert_array_equal(model.apply({"rna": views["rna"][last]}, alone), value[last])


def test_loading_what_is_no_model(tmp_path):
    with pytest.raises(WeightsError, match="holds no"):
        QUICK.restore(tmp_path)
    views, places, _ = study(side=6)
    QUICK.fit(views, places, rng()).model.save(tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text())
    component = about["values"]["component"]
    for change in ({"roles": {"rna": 5}}, {"component": component | {"hidden": 9}}, {"component": 3}):
        (tmp_path / ABOUT).write_text(json.dumps(about | {"values": about["values"] | change}))
        with pytest.raises(WeightsError, match="not a saved FittedGridJoint"):
            QUICK.restore(tmp_path)
    wider = component | {"latent": 7}  # only the network shows it
    (tmp_path / ABOUT).write_text(json.dumps(about | {"values": about["values"] | {"component": wider}}))
    with pytest.raises(WeightsError, match="weights do not fit its parameters"):
        QUICK.restore(tmp_path)
    (tmp_path / ARRAYS).write_bytes(b"not safetensors")
    with pytest.raises(WeightsError, match="not a saved"):
        QUICK.restore(tmp_path)


def test_one_section_is_an_autoencoder_with_triplets():
    views, places, domain = study(sections=1)
    z = SMALL.fuse(views, places, rng())
    assert rand(z, domain) > 0.85


@pytest.mark.parametrize("window", [1, 3, 7])
def test_windows(window):
    views, places, _ = study(side=8)
    z = GridJoint(window=window, epochs=2, hidden=8, latent=4, clusters=3).fuse(views, places, rng())
    assert z.shape == (128, 4)
    assert np.isfinite(z).all()


def test_odd_studies():
    """Cells without an array, a section of one observation, views that are constant."""
    views, places, _ = study(side=8)
    jitter = places.um + rng().uniform(-30, 30, places.um.shape)
    assert np.isfinite(QUICK.fuse(views, Places(jitter, places.sample), rng())).all()
    sample = places.sample.copy()
    sample[5] = 7
    lonely = Places(places.um, sample, places.grid, "square")
    assert np.isfinite(QUICK.fuse(views, lonely, rng())).all()
    constant = {"rna": np.ones_like(views["rna"])}
    assert np.isfinite(QUICK.fuse(constant, places, rng())).all()


def test_faults_of_the_data_are_named():
    views, places, _ = study(side=6)
    refused = [
        ({}, "no view"),
        ({"rna": views["rna"][:5]}, "5 rows but there are 72 places"),
        ({"rna": views["rna"] * np.nan}, "not finite"),
        ({"rna": sp.csr_matrix(views["rna"])}, "sparse"),
    ]
    for given, message in refused:
        with pytest.raises(DataError, match=message):
            QUICK.fit(given, places, rng())
    with pytest.raises(DataError, match="weight for image"):
        GridJoint(weights={"image": 1.0}).fit(views, places, rng())
    one = Places(places.um[:1], places.sample[:1], places.grid[:1], "square")
    with pytest.raises(DataError, match="at least 2"):
        QUICK.fit({"rna": views["rna"][:1]}, one, rng())


def test_a_fitted_model_names_what_differs():
    views, places, _ = study(side=6)
    model = QUICK.fit(views, places, rng()).model
    with pytest.raises(DataError, match="rna is missing"):
        model.apply({"img": views["rna"]}, places)
    with pytest.raises(DataError, match="not fitted with pos"):
        model.apply(views | {"pos": places.um}, places)
    with pytest.raises(DataError, match="the fit had 8 columns"):
        model.apply({"rna": views["rna"][:, :5]}, places)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 4}, "window must be odd"),
        ({"neighbours": 0}, "neighbours must be at least 1"),
        ({"anchors": 1}, "anchors must be at least 2"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"mixing": -1.0}, "mixing must not be negative"),
        ({"reconstruction": 0.0, "triplet": 0.0, "pairing": 0.0}, "nothing is left to learn"),
        ({"weights": {"rna": -1.0}}, "weights must not be negative"),
        ({"lattice": "triangle"}, "lattice"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(RecipeError, match=message):
        registry.make("grid-joint", params)


def test_it_is_a_fuser_that_fits():
    made = registry.make("grid-joint", {"window": 3})
    assert isinstance(made, Fuser)
    assert isinstance(made, Fits)
    assert hash(made) == hash(GridJoint(window=3))


def test_mutual_pairs_are_those_of_a_naive_search():
    x, sample = rng().normal(size=(60, 3)), rng(1).integers(3, size=60)
    found = {tuple(pair) for pair in mutual_pairs(x, draw_anchors(sample, 100, rng()), 4)}

    def near(i, section):
        rows = np.flatnonzero(sample == section)
        return set(rows[np.argsort(np.linalg.norm(x[rows] - x[i], axis=1))[:4]])

    expected = {
        (i, j)
        for i in range(60)
        for j in range(60)
        if sample[i] != sample[j] and j in near(i, sample[j]) and i in near(j, sample[i])
    }
    assert found == expected


def test_sections_come_together_however_far_apart():
    views, places, domain = study(shift=50.0)
    x = averaging(places, 6) @ views["rna"]
    moved, pairs = brought_together(x, places.sample, draw_anchors(places.sample, 500, rng()), k=20)
    assert np.mean(domain[pairs[:, 0]] == domain[pairs[:, 1]]) > 0.8
    assert mixing(moved, places, domain) > 0.5


def test_anchors_are_rows_of_their_section():
    sample = rng().integers(3, size=200)
    drawn = draw_anchors(sample, 20, rng())
    assert [len(rows) for rows in drawn] == [20, 20, 20]
    assert all((sample[rows] == code).all() for code, rows in enumerate(drawn))


def test_partners_are_from_the_pairs():
    pairs = np.array([[0, 3], [0, 4], [0, 5], [1, 3], [3, 0], [3, 1], [4, 0], [5, 0]])
    table = partner_table(pairs, 6, 2, rng())
    given = {tuple(pair) for pair in pairs}
    assert (table[2] == -1).all()
    assert all((row, partner) in given for row in (0, 1, 3, 4, 5) for partner in table[row])
    assert len(set(table[0])) == 2


def test_nothing_to_learn_from_is_no_error():
    _, places, _ = study(side=6)
    fuser = GridJoint(epochs=2, hidden=8, latent=4, reconstruction=0.0)
    z = fuser.fuse({"rna": np.ones((72, 4))}, places, rng())
    assert np.isfinite(z).all()
