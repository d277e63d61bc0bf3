"""The chart of confidence and accuracy shows what its table says."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import binomtest

from triptych.maths.reliability import reliability as table_of
from triptych.plots.reliability import reliability, wilson


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1, 400)
    return table_of(sure, rng.random(400) < sure)


def drawn(table):
    ax = Figure().add_subplot()
    reliability(ax, table, noun="nuclei")
    return ax


def test_points_are_accuracies_and_bars_are_shares(table):
    ax = drawn(table)
    known = table[table["n"] > 0]
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xdata(), known["confidence"])
    np.testing.assert_allclose(points.get_ydata(), known["accuracy"])
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], table["n"] / 400)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(words) == {"as it says", "share that is right", "share of nuclei"}


def test_without_known_accuracy_only_bars_are_drawn(table):
    ax = drawn(table.assign(accuracy=np.nan))
    assert not ax.lines
    assert len(ax.patches) == len(table)


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (3, 7), (40, 100)])
def test_intervals_are_those_of_scipy(right, n):
    low, high = wilson(np.array([right / n]), np.array([float(n)]))
    meant = binomtest(right, n).proportion_ci(method="wilson")
    np.testing.assert_allclose([low[0], high[0]], [meant.low, meant.high], atol=1e-9)


def test_a_table_of_nothing_is_drawn_empty():
    nothing = table_of(np.empty(0), np.empty(0, bool))
    assert not drawn(nothing).lines
