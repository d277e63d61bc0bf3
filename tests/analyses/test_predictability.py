"""Which types a guess finds: against loops, what intervals say, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from triptych.analyses.predictability import COLUMNS, Predictability, verdict
from triptych.analyses.predictability_draws import Draws, over_sections
from triptych.core.abundance import Abundance
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Places

TYPES = ("found", "lost", "flat", "turned")


def material_of(rng, side=12, samples=3):
    """Guesses that find the first type, know nothing of the second, and turn the fourth round."""
    row, column = np.divmod(np.arange(side * side), side)
    grid, sample = np.tile(np.c_[column, row], (samples, 1)), np.repeat(np.arange(samples), side * side)
    truth = rng.gamma(2.0, size=(len(sample), 4))
    truth[:, 2] = 0.1 * 3
    guess = truth + rng.normal(0, 0.5, truth.shape)
    guess[:, 1] = rng.normal(size=len(sample))
    guess[:, 3] = -truth[:, 3]
    location = 0.3 * truth + rng.normal(size=truth.shape)
    mean = np.repeat(rng.uniform(1, 2, (samples, 4)), side * side, axis=0)
    places = Places(grid * 200.0, sample, grid, "square")
    values = {"truth": truth, "img": guess, "control-location": location, "control-mean": mean}
    roles = {role: Abundance(one, TYPES) for role, one in values.items()}
    return Material(np.full(len(sample), -1), (), places, abundances=roles, samples=tuple("ABC"[:samples]))


@pytest.fixture
def material(rng):
    return material_of(rng)


def without(material, *roles):
    kept = {role: one for role, one in material.abundances.items() if role not in roles}
    return replace(material, abundances=kept)


def analyse(material, seed=0, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Predictability(**params).analyse(material, np.random.default_rng(seed))


def within(material, role, j):
    values = {role: one.values[:, j] for role, one in material.abundances.items()}
    parts = [material.places.sample == code for code in range(3)]
    return np.mean([np.corrcoef(values["truth"][part], values[role][part])[0, 1] for part in parts])


def test_correlations_and_skill_against_loops(material):
    table = analyse(material)
    assert tuple(table) == COLUMNS
    assert list(table["type"]) == list(TYPES) * 2
    assert list(table["control"]) == ["control-location"] * 4 + ["control-mean"] * 4
    assert set(table["n"]) == {432}
    values = {role: one.values for role, one in material.abundances.items()}
    for j in (0, 1, 3):
        row, own = table.loc[j], within(material, "img", j)
        assert row["pearson"] == pytest.approx(own)
        assert row["pearson_control"] == pytest.approx(within(material, "control-location", j))
        assert row["difference"] == pytest.approx(row["pearson"] - row["pearson_control"])
        missed, naive = (
            np.mean((values[role][:, j] - values["truth"][:, j]) ** 2) for role in ("img", "control-mean")
        )
        assert row["skill"] == pytest.approx(1 - missed / naive)
        assert table.loc[4 + j, "pearson_control"] == 0
        assert table.loc[4 + j, "difference"] == pytest.approx(own)


def test_verdicts_of_what_is_known_beforehand(material):
    table = analyse(material).set_index(["type", "control"])["verdict"]
    assert table["found", "control-location"] == "predicted"
    assert table["found", "control-mean"] == "predicted"
    assert table["lost", "control-mean"] == "not told apart from control-mean"
    assert table["turned", "control-location"] == "worse than control-location"
    assert table["flat", "control-mean"] == "the truth is constant"


@pytest.mark.parametrize(
    ("pearson", "low", "high", "words"),
    [
        (0.5, 0.1, 0.2, "predicted"),
        (-0.1, 0.1, 0.2, "better than c, but not correlated"),
        (0.5, -0.1, 0.2, "not told apart from c"),
        (0.5, -0.2, -0.1, "worse than c"),
        (0.5, np.nan, np.nan, "no interval"),
        (np.nan, np.nan, np.nan, "the truth is constant"),
    ],
)
def test_words(pearson, low, high, words):
    assert verdict("c", pearson, low, high) == words


def test_draws_against_drawing_observations_anew(rng):
    x, y = rng.normal(size=(40, 3)), rng.gamma(1.0, size=(40, 3))
    x[:, 2] = 1.0
    blocks = rng.integers(0, 6, 40)
    draws = Draws.of(blocks, 25, rng)
    assert (draws.times.sum(axis=1) == 6).all()
    found = draws.correlations(y, x)
    for draw in range(25):
        rows = np.concatenate(
            [np.flatnonzero(blocks == b).repeat(int(draws.times[draw, b])) for b in range(6)]
        )
        for j in range(2):
            assert found[draw, j] == pytest.approx(np.corrcoef(y[rows, j], x[rows, j])[0, 1])
    assert (found[:, 2] == 0).all()


def test_a_type_that_a_draw_lacks_is_left_out_of_it():
    y = np.zeros((12, 1))
    y[:2, 0] = 1, 2
    draws = Draws.of(np.repeat(np.arange(4), 3), 200, np.random.default_rng(0))
    found = draws.correlations(y, np.arange(12.0)[:, None])
    assert np.array_equal(np.isnan(found[:, 0]), draws.times[:, 0] == 0)


def test_means_over_sections_leave_out_what_is_missing():
    found = over_sections([np.array([1.0, np.nan, np.nan]), np.array([3.0, 5.0, np.nan])])
    assert np.array_equal(found, [2.0, 5.0, np.nan], equal_nan=True)


def test_the_interval_holds_a_difference_of_nothing_as_often_as_it_says():
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        given = material_of(rng, side=10, samples=2)
        truth = given.abundances["truth"].values
        truth[:, 2] = rng.normal(size=len(truth))
        noisy = [Abundance(truth + rng.normal(0, 1.5, truth.shape), TYPES) for _ in range(2)]
        roles = {"truth": given.abundances["truth"], "img": noisy[0], "control-other": noisy[1]}
        table = analyse(replace(given, abundances=roles), draws=200)
        held.extend((table["low"] <= 0) & (table["high"] >= 0))
    assert 0.88 <= np.mean(held) <= 0.99


def test_a_mean_that_differs_within_a_section_still_counts_as_a_constant(material, rng):
    mean = material.abundances["control-mean"].values + rng.normal(size=(432, 4))
    roles = {**material.abundances, "control-mean": Abundance(mean, TYPES)}
    table = analyse(replace(material, abundances=roles))
    assert (table.loc[table["control"] == "control-mean", "pearson_control"].dropna() == 0).all()


def test_skill_without_a_control_mean_is_against_the_own_mean_of_each_section(material):
    table = analyse(without(material, "control-mean"))
    truth, guess = (material.abundances[role].values for role in ("truth", "img"))
    naive = np.concatenate([truth[i : i + 144] - truth[i : i + 144].mean(axis=0) for i in (0, 144, 288)])
    want = 1 - ((guess - truth) ** 2).mean(axis=0) / (naive**2).mean(axis=0)
    assert np.allclose(table["skill"][[0, 1, 3]], want[[0, 1, 3]])
    assert "each section's own mean" in table.attrs["note"]
    assert "the control's mean" in analyse(material).attrs["note"]


def test_sections_of_few_blocks_have_no_interval(material):
    few = Places(np.outer(np.arange(432) % 2, [1000.0, 0.0]), material.places.sample)
    table = analyse(replace(material, places=few))
    assert table[["low", "high"]].isna().all(axis=None)
    assert set(table["verdict"]) == {"no interval", "the truth is constant"}
    assert "There is no interval" in table.attrs["note"]


def test_rows_that_a_role_lacks_are_left_out_of_all(material):
    values = material.abundances["img"].values.copy()
    values[10:30] = np.nan
    table = analyse(replace(material, abundances={**material.abundances, "img": Abundance(values, TYPES)}))
    assert set(table["n"]) == {412}
    assert "412 observations take part; 20 are left out" in table.attrs["note"]
    assert "averaged over 3" in table.attrs["note"]


def test_order_of_rows_does_not_matter_and_seeds_repeat(material, rng):
    order, component = rng.permutation(432), Predictability(draws=100)
    roles = {role: Abundance(one.values[order], TYPES) for role, one in material.abundances.items()}
    places = Places(material.places.um[order], material.places.sample[order])
    moved = replace(material, places=places, abundances=roles)
    one, two, three = (
        component.analyse(given, np.random.default_rng(1)) for given in (material, material, moved)
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    pd.testing.assert_frame_equal(one, three)


def test_roles_that_cannot_be_compared_are_refused(material):
    with pytest.raises(
        DataError, match="no role is a guess; there is: truth, control-location, control-mean"
    ):
        analyse(without(material, "img"))
    with pytest.raises(DataError, match="no role is a control; there is: truth, img. Predict with one too"):
        analyse(without(material, "control-mean", "control-location"))
    with pytest.raises(DataError, match="predictability: no role is called truth"):
        analyse(without(material, "truth"))


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="draws must be 100 or more"):
        Predictability(draws=99)
    with pytest.raises(ValueError, match="per_side must be 2 or more"):
        Predictability(per_side=1)
