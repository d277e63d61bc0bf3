"""Reliability against a loop over bins, and a confidence that means what it says."""

import numpy as np
import pytest

from triptych.maths.reliability import calibration_error, reliability


def test_each_bin_is_that_of_a_loop(rng):
    confidence, right = rng.random(500), rng.random(500) < 0.5
    table = reliability(confidence, right, bins=7)
    assert len(table) == 7
    gap = 0.0
    for low, high, mean, accuracy, n in table.itertuples(index=False):
        inside = (confidence >= low) & (confidence < high)
        assert n == inside.sum()
        assert mean == pytest.approx(confidence[inside].mean())
        assert accuracy == pytest.approx(right[inside].mean())
        gap += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(table) == pytest.approx(gap)


def test_one_belongs_to_the_last_bin_and_nan_to_none():
    table = reliability(np.array([1.0, np.nan, 0.1]), np.array([True, True, False]))
    assert table["n"].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(table["accuracy"].iloc[0])


def test_a_confidence_that_means_what_it_says_has_no_error(rng):
    confidence = rng.random(200_000)
    right = rng.random(200_000) < confidence
    assert calibration_error(reliability(confidence, right)) < 0.01
    assert calibration_error(reliability(np.ones(200_000), right)) == pytest.approx(0.5, abs=0.01)


def test_nothing_said_has_no_error_known():
    assert np.isnan(calibration_error(reliability(np.array([np.nan]), np.array([True]))))
