"""Arrows point where regions were moved, and outlines lie where they are said to."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from triptych.core.nuclei import Outlines
from triptych.plots.registration import AFTER, BEFORE, GREY, LONGEST, arrows, outlines_on
from triptych.plots.window import Window

XY = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 1000.0], [1000.0, 1000.0]])
MOVED = np.array([[4.0, 0.0], [0.0, 8.0], [-4.0, 0.0], [np.nan, np.nan]])
SCORE = np.array([10.0, 20.0, np.nan, np.nan])


@pytest.fixture
def ax():
    figure = Figure(figsize=(4, 4), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_axes((0, 0, 1, 1))


def texts(ax):
    ax.figure.canvas.draw()
    keys = [one.text.get_text() for one in ax.artists if hasattr(one, "text")]
    return keys + [one.get_text() for one in ax.texts]


def test_arrows_have_the_direction_and_proportion_of_the_shifts(ax):
    drawn = arrows(ax, XY, MOVED, SCORE, um_per_unit=0.25)
    np.testing.assert_allclose(np.column_stack([drawn.U, drawn.V])[:3], MOVED[:3])
    assert (drawn.U[3], drawn.V[3]) == (0, 0)
    window = Window(*np.array([ax.get_xlim()[0], ax.get_ylim()[1], ax.get_xlim()[1], ax.get_ylim()[0]]))
    assert 8 / drawn.scale == pytest.approx(LONGEST * max(window.width, window.height))
    assert window.bottom > window.top  # y points down


def test_regions_that_did_not_count_are_grey(ax):
    drawn = arrows(ax, XY, MOVED, SCORE, um_per_unit=None)
    ax.figure.canvas.draw()
    colours = drawn.get_facecolors()
    grey = mpl.colors.to_rgba(GREY)
    np.testing.assert_allclose(colours[2:], [grey, grey])
    assert not np.allclose(colours[0], grey)
    np.testing.assert_allclose(colours[1], mpl.colormaps["cividis"](1.0))


def test_the_key_is_an_arrow_of_a_round_length(ax):
    arrows(ax, XY, MOVED, SCORE, um_per_unit=0.25)  # the longest is 2 µm
    assert any("2 µm moved" in text for text in texts(ax))


def test_without_a_scale_there_is_neither_key_nor_bar(ax):
    arrows(ax, XY, MOVED, SCORE, um_per_unit=None)
    assert texts(ax) == []


@pytest.mark.parametrize("score", [np.full(1, np.nan), np.array([5.0])])
def test_one_region_that_stayed_where_it_was(ax, score):
    drawn = arrows(ax, np.array([[5.0, 5.0]]), np.zeros((1, 2)), score, um_per_unit=0.25)
    ax.figure.canvas.draw()
    assert np.isfinite(drawn.scale)


def test_outlines_are_closed_and_lie_on_the_picture(ax):
    px = np.array([[10, 10], [20, 10], [20, 20], [30, 30], [40, 30], [35, 40], [30, 35]], np.float32)
    before = Outlines(px, np.array([0, 3, 7]), np.array([0, 1]))
    after = Outlines(px + 5, before.first, before.row)
    pixels = np.zeros((50, 60, 3), np.uint8)
    was, now = outlines_on(ax, pixels, Window(0, 0, 60, 50), before, after)
    for drawn, add, colour in ((was, 0, BEFORE), (now, 5, AFTER)):
        first, second = drawn.get_segments()
        np.testing.assert_array_equal(first, px[[0, 1, 2, 0]] + add)
        np.testing.assert_array_equal(second, px[[3, 4, 5, 6, 3]] + add)
        np.testing.assert_allclose(drawn.get_color(), [mpl.colors.to_rgba(colour)])
    assert ax.images[0].get_extent() == [0, 60, 50, 0]


def test_a_crop_without_nuclei(ax):
    none = Outlines(np.empty((0, 2), np.float32), np.zeros(1, int), np.empty(0, int))
    was, now = outlines_on(ax, np.zeros((5, 5, 3), np.uint8), Window(0, 0, 5, 5), none, none)
    assert was.get_segments() == now.get_segments() == []
