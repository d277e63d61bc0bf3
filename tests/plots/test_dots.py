"""Dots and heat maps, read back from the axes."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from triptych.plots.dots import AREA, dots
from triptych.plots.heat import heat, shortened


@pytest.fixture
def ax():
    return Figure(figsize=(5, 3), dpi=50, layout="constrained").add_subplot()


def drawn(ax):
    FigureCanvasAgg(ax.figure).draw()
    return ax


def names(labels):
    return [text.get_text() for text in labels]


def test_a_dot_for_each_pair_as_large_as_its_share_and_coloured_by_its_level(ax):
    share, level = np.array([[0.1, 0.5, 1.0], [0.0, 0.25, 0.75]]), np.array([[0, 0.5, 1], [1, 0, 0.5]])
    dots(ax, share, level, groups=["a", "b"], genes=["X", "Y", "Z"])
    dot = drawn(ax).collections[0]
    np.testing.assert_allclose(dot.get_sizes(), AREA * share.ravel())
    np.testing.assert_allclose(dot.get_array(), level.ravel())
    np.testing.assert_allclose(dot.get_offsets()[4], [1, 1])
    assert dot.get_clim() == (0, 1)
    assert names(ax.get_yticklabels()) == ["a", "b"]
    assert names(ax.get_xticklabels()) == ["X", "Y", "Z"]
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first group is above
    legend = ax.get_legend()
    assert names(legend.get_texts()) == ["25%", "50%", "100%"]
    for handle, wanted in zip(legend.legend_handles, (0.25, 0.5, 1), strict=True):
        assert handle.get_markersize() ** 2 == pytest.approx(AREA * wanted)  # a diameter is a root of an area


def test_heat_is_white_at_zero_and_as_strong_below_as_above(ax):
    values = np.array([[0.0, -4.0, 1.0], [np.nan, 2.0, 4.0]])
    heat(ax, values, rows=["a", "b"], columns=["X", "Y", "Z"], label="t")
    image = drawn(ax).images[0]
    assert image.get_clim() == (-4, 4)
    colours = image.cmap(image.norm(np.array([0.0, -4.0, 4.0])))
    assert colours[0, :3].min() > 0.95
    assert colours[1, 2] > colours[1, 0]  # blue below
    assert colours[2, 0] > colours[2, 2]  # red above
    assert ax.figure.axes[1].get_ylabel() == "t"
    assert image.get_array().mask.sum() == 1


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.array([[3.0]])])
def test_degenerate_tables_are_drawn(ax, values):
    rows, columns = values.shape
    heat(ax, values, rows=["r"] * rows, columns=["c"] * columns)
    low, high = drawn(ax).images[0].get_clim()
    assert low == -high < 0


def test_names_are_text_and_long_ones_shortened(ax):
    heat(ax, np.ones((1, 2)), rows=["$x"], columns=["p" * 50, "$a$ & <b>"], ink="#123456")
    labels = drawn(ax).get_xticklabels()
    assert names(labels) == ["p" * 19 + "…", "$a$ & <b>"]
    assert not any(text.get_parse_math() for text in (*labels, *ax.get_yticklabels()))
    assert to_rgba(labels[0].get_color()) == to_rgba("#123456")
    assert shortened("short") == "short"
