"""Deep embedded clustering: from an encoder or without one, clusters that are lost, errors at the door."""

import warnings

import numpy as np
import pytest

from triptych.clusterers import dec, registry
from triptych.clusterers.dec import Dec
from triptych.clusterers.dec_start import initial_centres, tempered_centres
from triptych.core.errors import DataError, NumericsError, RecipeError, TriptychWarning
from triptych.core.protocols import Places
from triptych.fusers.concat import Concat
from triptych.fusers.sdae import Sdae

TINY = {
    "k": 3, "latent": 3, "hidden": (16,), "least_steps": 150, "n_init": 2, "update_interval": 10,
    "steps": 200,
}  # fmt: skip


@pytest.fixture
def fitted(groups):
    """A fit of sdae to the groups, and its codes."""
    x = groups[0]
    places = Places(np.zeros((len(x), 2)), np.zeros(len(x), int))
    return Sdae(latent=3, hidden=(16,), least_steps=150).fit({"x": x}, places, np.random.default_rng(1))


@pytest.mark.parametrize("balance", ["none", "class-balanced"])
@pytest.mark.parametrize("given", [True, False])
def test_groups_are_found_by_falling_size(groups, fitted, rng, balance, given):
    x, truth = groups
    value, model = Dec(**TINY, balance=balance).fit(x, rng, encoder=fitted.model if given else None)
    assert np.mean(value == truth) > 0.98
    assert np.array_equal(model.apply(x), value)
    assert model.embed(x).shape == (200, 3)
    assert model.embed(x).dtype == np.float32


def test_it_starts_from_the_encoder_and_leaves_that_as_it_was(groups, fitted):
    x, _ = groups
    before = {name: array.copy() for name, array in fitted.model.network.items()}
    still = (
        Dec(**TINY | {"learning_rate": 1e-12}).fit(x, np.random.default_rng(0), encoder=fitted.model).model
    )
    assert np.allclose(still.embed(x), fitted.value, atol=1e-5)
    moved = Dec(**TINY | {"tolerance": 0.0}).fit(x, np.random.default_rng(0), encoder=fitted.model).model
    assert not np.allclose(moved.embed(x), fitted.value, atol=1e-3)
    assert all(np.array_equal(before[name], fitted.model.network[name]) for name in before)


def test_codes_come_closer_to_their_centres(groups, fitted):
    x, _ = groups
    spread = []
    for rate in (1e-12, 0.05):
        found = Dec(**TINY | {"learning_rate": rate}).fit(x, np.random.default_rng(0), encoder=fitted.model)
        z, centres = found.model.embed(x), found.model.centres
        spread.append(np.linalg.norm(z - centres[found.value], axis=1).mean() / np.linalg.norm(z.std(axis=0)))
    assert spread[1] < spread[0]


def test_a_model_comes_back_from_a_folder(groups, rng, tmp_path):
    x, _ = groups
    model = Dec(**TINY).fit(x, rng).model
    model.save(tmp_path / "model")
    again = Dec().restore(tmp_path / "model")
    assert np.array_equal(again.embed(x), model.embed(x))
    assert np.array_equal(again.centres, model.centres)
    assert again.changes == model.changes
    assert again.changes[-1] <= 0.001  # it ended before the last step


def test_clusters_that_are_lost_are_left_out_with_a_warning(groups, fitted, rng, monkeypatch):
    x, _ = groups
    start = initial_centres

    def with_a_far_one(z, k, n_init, rng):
        centres, codes = start(z, k, n_init, rng)
        centres[1] = 1e6
        return centres, codes

    monkeypatch.setattr(dec, "initial_centres", with_a_far_one)
    with pytest.warns(TriptychWarning, match="1 of 3 clusters lost all their observations and are left out"):
        value, model = Dec(**TINY).fit(x, rng, encoder=fitted.model)
    assert set(value) == {0, 1}
    assert len(model.centres) == 2
    assert np.array_equal(model.apply(x), value)


@pytest.mark.parametrize("start", [initial_centres, tempered_centres])
def test_starts_are_compared_on_a_sample_and_all_rows_have_a_say(rng, monkeypatch, start):
    z = np.vstack([rng.normal(centre, 0.1, (400, 2)) for centre in (0, 3, 9)]).astype(np.float32)
    monkeypatch.setattr("triptych.clusterers.dec_start.STARTED", 60)
    centres, codes = start(z, 3, 4, rng)
    assert np.allclose(centres, [z[codes == code].mean(axis=0) for code in range(3)], atol=1e-5)
    assert sorted(np.bincount(codes)) == [400, 400, 400]


def test_a_rare_group_gets_a_centre_only_from_the_tempered_start(rng):
    """K-means rather divides a group of 2000 than part one of 12 from one of 300."""
    wide, narrow, rare = (rng.normal(0, s, (n, 2)) for s, n in ((0.9, 2000), (0.3, 300), (0.1, 12)))
    z = np.vstack([wide, narrow + np.array([14, 0]), rare + np.array([14, 7])]).astype(np.float32)
    truth = np.repeat([0, 1, 2], [2000, 300, 12])
    for start, alone in ((initial_centres, False), (tempered_centres, True)):
        codes = start(z, 3, 5, rng)[1]
        assert set(codes[truth == 2]).isdisjoint(codes[truth != 2]) == alone


def test_unstandardised_columns_keep_their_size(groups, rng):
    x, _ = groups
    model = Dec(**TINY, standardise=False).fit(x * [1, 1, 1, 50], rng).model
    assert np.array_equal(model.deviation, np.ones(4))
    assert model.clip == 0


def test_one_cluster_and_a_constant_column(groups, rng):
    x, _ = groups
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert not Dec(**TINY | {"k": 1}).cluster(np.hstack([x, np.ones((200, 1))]), rng).any()


def test_an_encoder_of_another_matrix_is_refused(groups, fitted, rng):
    x, _ = groups
    with pytest.raises(DataError, match="the matrix has 3 columns; the encoder takes 4"):
        Dec(**TINY).fit(x[:, :3], rng, encoder=fitted.model)


def test_an_encoder_of_several_views_is_refused(groups, rng):
    x, _ = groups
    places = Places(np.zeros((200, 2)), np.zeros(200, int))
    model = Sdae(latent=3, hidden=(16,), least_steps=1).fit({"a": x[:, :2], "b": x[:, 2:]}, places, rng).model
    with pytest.raises(
        DataError, match="the encoder was fitted to the views a, b; it needs the matrix alone"
    ):
        Dec(**TINY).fit(x, rng, encoder=model)


def test_a_model_without_an_encoder_is_refused(groups, rng):
    x, _ = groups
    model = Concat().fit({"x": x}, Places(np.zeros((200, 2)), np.zeros(200, int)), rng).model
    with pytest.raises(DataError, match="dec: FittedConcat has no encoder to start from. Give the model of"):
        Dec(**TINY).fit(x, rng, encoder=model)


def test_divergence_is_an_error(groups, fitted, rng):
    with pytest.raises(NumericsError, match="dec: the assignments are not finite"):
        Dec(**TINY | {"learning_rate": 1e30}).fit(groups[0], rng, encoder=fitted.model)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 0}, "at least 1"),
        ({"update_interval": 0}, "at least 1"),
        ({"steps": 0}, "at least 1"),
        ({"hidden": [0]}, "at least 1"),
        ({"alpha": 0.0}, "alpha and learning_rate must be positive"),
        ({"learning_rate": -1.0}, "alpha and learning_rate must be positive"),
        ({"tolerance": 1.0}, r"tolerance and corruption must be in \[0, 1\)"),
        ({"corruption": -0.1}, r"tolerance and corruption must be in \[0, 1\)"),
        ({"least_steps": -1}, "least_steps must not be negative"),
        ({"balance": "classes"}, "balance"),
    ],
)
def test_parameters_out_of_range(wrong, message):
    with pytest.raises(RecipeError, match=message):
        registry.make("dec", wrong)
