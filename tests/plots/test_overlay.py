"""Patches on a slide: where they are drawn, how large, in which colours."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from triptych.plots.overlay import Ground, dominant, overlay
from triptych.plots.palette import paint
from triptych.plots.window import Window

SIDE = 20.0
XY = np.array([[30.0, 30.0], [50.0, 30.0], [70.0, 70.0], [30.0, 70.0]])
GROUND = Ground(np.full((50, 50, 3), 255, np.uint8), Window(0, 0, 100, 100), None)


@pytest.fixture
def ax():
    figure = Figure(figsize=(4, 4), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_axes((0, 0, 1, 1))


def colour_at(ax, x, y):
    canvas = ax.figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    column, up = ax.transData.transform((x, y))
    return pixels[pixels.shape[0] - int(up), int(column), :3].astype(int)


def test_patches_lie_where_they_are_and_are_as_large(ax):
    drawn = overlay(ax, GROUND, XY, np.array([0, 1, 2, 3]), side=SIDE, alpha=1.0)
    expected = np.rint(255 * paint(np.arange(4))[:, :3]).astype(int)
    for (x, y), colour in zip(XY, expected, strict=True):
        for dx, dy in ((0, 0), (-9, -9), (9, 9), (9, -9)):
            assert np.abs(colour_at(ax, x + dx, y + dy) - colour).max() <= 1
    assert colour_at(ax, 90, 10).tolist() == [255, 255, 255]
    assert drawn.get_paths()[0].get_extents().bounds == (20.0, 20.0, 20.0, 20.0)


def test_the_slide_shows_through(ax):
    overlay(ax, GROUND, XY, np.array([0, 0, 0, 0]), side=SIDE, alpha=0.25)
    half = 0.25 * 255 * paint(np.array([0]))[0, :3] + 0.75 * 255
    assert np.abs(colour_at(ax, 30, 30) - half).max() <= 1.5


def test_codes_that_are_missing_are_not_drawn(ax):
    drawn = overlay(ax, GROUND, XY, np.array([0, -1, 2, -1]), side=SIDE, alpha=1.0)
    assert len(drawn.get_paths()) == 2
    assert colour_at(ax, 50, 30).tolist() == [255, 255, 255]
    assert len(ax.figure.axes) == 1  # without a colour bar


def test_values_have_a_colour_bar_from_zero(ax):
    values = np.array([0.0, 0.2, 0.4, np.nan])
    drawn = overlay(ax, GROUND, XY, values, side=SIDE, alpha=1.0, label="$Cancer$ cells")
    assert len(drawn.get_paths()) == 3
    assert drawn.norm.vmin == 0
    assert drawn.norm.vmax == pytest.approx(0.4, rel=0.01)
    darkest = np.rint(255 * np.array(mpl.colormaps["cividis"](0.0))[:3])
    assert np.abs(colour_at(ax, 30, 30) - darkest).max() <= 1
    _, bar = ax.figure.axes
    assert bar.get_ylabel() == "$Cancer$ cells"
    assert not bar.yaxis.label.get_parse_math()


@pytest.mark.parametrize("values", [np.zeros(4), np.full(4, np.nan)])
def test_values_without_spread(ax, values):
    drawn = overlay(ax, GROUND, XY, values, side=SIDE)
    assert (drawn.norm.vmin, drawn.norm.vmax) == (0, 1)
    ax.figure.canvas.draw()


def test_a_scale_bar_where_there_is_a_scale(ax):
    overlay(ax, Ground(GROUND.thumbnail, GROUND.extent, 2.0), XY, np.zeros(4, int), side=SIDE)
    assert [text.get_text() for text in ax.texts] == ["50 µm"]


@pytest.mark.parametrize(
    ("alpha", "side", "message"), [(1.2, 5.0, "alpha must be"), (0.5, 0.0, "side must be")]
)
def test_values_out_of_range(ax, alpha, side, message):
    with pytest.raises(ValueError, match=message):
        overlay(ax, GROUND, XY, np.zeros(4), side=side, alpha=alpha)


def test_the_type_that_prevails():
    nan = np.nan
    made = dominant(np.array([[0.1, 0.9], [0.7, 0.3], [nan, nan], [nan, 0.0]]))
    assert made.tolist() == [1, 0, -1, 1]


def test_many_patches_are_pixels(ax):
    xy = np.stack(np.meshgrid(np.arange(110.0), np.arange(110.0)), axis=-1).reshape(-1, 2)
    drawn = overlay(ax, GROUND, xy, np.zeros(len(xy), int), side=1.0)
    assert drawn.get_rasterized()


def test_a_part_of_the_slide(ax):
    part = Ground(GROUND.thumbnail, GROUND.extent, None, Window(20, 20, 60, 60))
    overlay(ax, part, XY, np.array([0, 1, 2, 3]), side=SIDE)
    assert (ax.get_xlim(), ax.get_ylim()) == ((20, 60), (60, 20))
