"""Resampled scores of cell types against scoring the repeated rows by the metrics themselves."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.abundance import Abundance
from triptych.metrics import registry as metrics
from triptych.pipeline.study import Study
from triptych.studies.execute import Executed, Guess
from triptych.studies.resampling import draws_of
from triptych.studies.resampling_types import OF_SUMS, of_section
from triptych.studies.summary import OF_RUNS, greater_is_better, pairs, summary

TYPES = ("p", "q", "r")
BLOCKS = 9


@pytest.fixture
def given(rng):
    """Truth, guess with its interval, rows of a section and their blocks."""
    truth = rng.dirichlet(np.ones(3), 200)
    values = np.clip(truth + rng.normal(0, 0.2, truth.shape), 0, None)
    guess = Abundance(values, TYPES, values - 0.15, values + 0.15)
    rows = np.sort(rng.permutation(200)[:120])
    return Abundance(truth, TYPES), guess, rows, rng.integers(0, BLOCKS, 120)


def naive(metric, truth, guess, rows, blocks, draw):
    """The metric on the rows of the blocks that were drawn, as often as they were."""
    repeated = np.concatenate([np.tile(rows[blocks == b], int(times)) for b, times in enumerate(draw)])
    told = guess.values[repeated]
    if metric == "coverage":
        told = np.stack([guess.low[repeated], guess.high[repeated]])
    return metrics.make(metric).score(truth.values[repeated], told)


@pytest.mark.parametrize("metric", OF_SUMS)
def test_resamples_equal_scoring_repeated_rows(given, rng, metric):
    truth, guess, rows, blocks = given
    draws = draws_of(BLOCKS, rng, draws=40)
    found = of_section(metric, truth, guess, rows, blocks, draws)
    expected = [naive(metric, truth, guess, rows, blocks, draw) for draw in draws]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert found.std() > 0


@pytest.mark.parametrize("metric", OF_SUMS)
def test_rows_of_which_nothing_is_known_play_no_part(given, rng, metric):
    truth, guess, rows, blocks = given
    draws, known = draws_of(BLOCKS, rng, draws=20), np.ones(len(rows), bool)
    truth.values[rows[3:9]], guess.values[rows[40:44]] = np.nan, np.nan
    known[3:9] = known[40:44] = False
    found = of_section(metric, truth, guess, rows, blocks, draws)
    expected = [naive(metric, truth, guess, rows[known], blocks[known], draw) for draw in draws]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    truth.values[rows] = np.nan
    assert of_section(metric, truth, guess, rows, blocks, draws) is None


@pytest.mark.parametrize("which", ["truth", "guess", "both"])
def test_a_type_that_does_not_vary_counts_as_in_the_metric(given, rng, which):
    truth, guess, rows, blocks = given
    if which != "guess":
        truth.values[:, 1] = 0.3
    if which != "truth":
        guess.values[:, 1] = 0.1
    draws = draws_of(BLOCKS, rng, draws=20)
    found = of_section("pearson", truth, guess, rows, blocks, draws)
    expected = [naive("pearson", truth, guess, rows, blocks, draw) for draw in draws]
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_rounding_does_not_invent_or_lose_correlation(rng, offset):
    truth = Abundance(offset + rng.normal(0, 1e-3, (90, 1)), ("p",))
    guess = Abundance(truth.values + rng.normal(0, 1e-4, (90, 1)), ("p",))
    blocks, draws = rng.integers(0, 5, 90), draws_of(5, rng, draws=10)
    found = of_section("pearson", truth, guess, np.arange(90), blocks, draws)
    expected = [naive("pearson", truth, guess, np.arange(90), blocks, draw) for draw in draws]
    np.testing.assert_allclose(found, expected, atol=1e-6)


# -- in a study --------------------------------------------------------------------------------------


def executed(table, noises, *, target="obsm:abundance", samples=None):
    """Arms that guess the truth of a table with some noise, scored section by section."""
    study, rng = Study(table), np.random.default_rng(1)
    truth = study.abundance(target, "study")
    rows, guesses = [], []
    for arm, noise in noises.items():
        values = np.clip(truth.values + rng.normal(0, noise, truth.values.shape), 0, None)
        values[np.isnan(truth.values)] = 0.2
        guess = Abundance(values, truth.types, values - 0.2, values + 0.2)
        guesses.append(Guess(arm, "recipe", 0, types=guess, truth=truth))
        for metric in OF_SUMS:
            for sample in samples or study.samples:
                at = study.rows(sample)[np.isfinite(truth.values[study.rows(sample)]).all(axis=1)]
                told = np.stack([guess.low[at], guess.high[at]]) if metric == "coverage" else guess.values[at]
                rows.append({
                    "arm": arm, "k_from": "recipe", "metric": metric, "slot": "obsm:abundance.hat",
                    "sample": sample, "donor": study.donors[sample], "fold": "", "seed": 0, "n": len(at),
                    "k": np.nan, "value": metrics.make(metric).score(truth.values[at], told),
                    "protocol": "donor held out", "seconds": 1.0, "low": np.nan, "high": np.nan,
                })  # fmt: skip
    return Executed(pd.DataFrame(rows), guesses, study)


@pytest.fixture
def two(make_table, rng):
    table = make_table(samples=("A1", "B1"))
    shares = rng.dirichlet(np.ones(3), table.n_obs)
    table.obsm["abundance"] = pd.DataFrame(shares, table.obs_names, list(TYPES))
    return table


def test_with_two_donors_blocks_are_resampled_and_hold_the_value(two):
    found = summary(executed(two, {"good": 0.05, "bad": 0.4}))
    assert set(found["interval"]) == {"spatial blocks"}
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()
    assert (found["low"] < found["high"])[found["arm"] == "bad"].all()


@pytest.mark.parametrize(("metric", "better"), [("pearson", True), ("l1", True), ("rmse", True)])
def test_arms_are_told_apart_in_the_direction_of_the_metric(two, metric, better):
    gap = pairs(executed(two, {"plain": 0.4, "good": 0.05}), metric, {"good": "plain"}).iloc[0]
    assert (gap["better"] == "better") == better
    assert gap["low"] <= gap["difference"] <= gap["high"]
    assert (gap["wins"], gap["of"]) == (2, 2)


def test_the_truth_is_what_the_arms_learned_from(two, rng):
    two.obsm["abundance.minor"] = two.obsm["abundance"]
    two.obsm["abundance"] = pd.DataFrame(rng.dirichlet(np.ones(3), two.n_obs), two.obs_names, list(TYPES))
    found = summary(executed(two, {"good": 0.05}, target="obsm:abundance.minor")).set_index("metric")
    assert found.loc["pearson", "low"] > 0.8


def test_a_section_of_which_little_is_known_has_an_interval_that_holds_its_value(two):
    """Blocks without a known row are no part of the resampling."""
    values = two.obsm["abundance"].copy()
    values[(two.obs[["array_col", "array_row"]] > 2).any(axis=1).to_numpy()] = np.nan
    two.obsm["abundance"] = values
    found = summary(executed(two, {"good": 0.3})).set_index("metric")
    assert np.isfinite(found[["low", "high"]].to_numpy()).all()
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()
    assert found.loc["l1", "low"] > 0.4 * found.loc["l1", "value"]
    assert found.loc["coverage", "low"] > 0.4 * found.loc["coverage", "value"]


def test_with_three_donors_donors_are_resampled(make_table, rng):
    table = make_table(samples=("A1", "B1", "C1"))
    shares = rng.dirichlet(np.ones(3), table.n_obs)
    table.obsm["abundance"] = pd.DataFrame(shares, table.obs_names, list(TYPES))
    found = summary(executed(table, {"good": 0.1}))
    assert set(found["interval"]) == {"3 donors"}


@pytest.mark.parametrize(
    ("metric", "greater"),
    [
        ("pearson", True), ("l1", False), ("rmse", False), ("jensen-shannon", False), ("coverage", True),
        ("interval-width", False), ("pearson:abundance.minor", True), ("l1:abundance.minor", False),
        ("ari", True), ("ari:donor", False), ("ari@elsewhere", True), ("ari:donor@elsewhere", False),
        *((f"{name}{end}", greater) for name, greater in OF_RUNS.items() for end in ("", "@elsewhere")),
        ("l1@elsewhere", False), ("coverage@elsewhere", True),
    ],
)  # fmt: skip
def test_directions(metric, greater):
    assert greater_is_better(metric) is greater
