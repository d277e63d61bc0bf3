"""Plots of cell types, read back from the axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist

from triptych.plots.abundance import Where, abundance
from triptych.plots.cluster_map import cluster_maps, hierarchy, leaves
from triptych.plots.coverage import coverage
from triptych.plots.palette import PALETTE
from triptych.plots.patches import GAP, grid, patches
from triptych.plots.window import Window

XY = np.column_stack([a.ravel() for a in np.meshgrid(np.arange(4.0), np.arange(3.0))]) * 100
TYPES = ["B $x", "T", "p" * 50]


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4), dpi=50, layout="constrained").add_subplot()


def drawn(ax):
    FigureCanvasAgg(ax.figure).draw()
    return ax


def maps(seed=0):
    rng = np.random.default_rng(seed)
    guess = rng.random((12, 3))
    guess[:2] = np.nan
    return {"target": rng.random((12, 3)), "guess $y": guess}


def found(ax):
    """The maps in the order of the grid, rows down."""
    panels = [one for one in ax.figure.axes if any(isinstance(c, EllipseCollection) for c in one.collections)]
    place = {one: one.get_subplotspec() for one in panels}
    return sorted(panels, key=lambda one: (place[one].rowspan.start, place[one].colspan.start))


def test_a_map_for_each_estimate_and_type_with_one_scale_of_colours_a_column(ax):
    given, tops = maps(), np.array([0.5, 1.0, 2.0])
    where = Where(XY, 80.0, Window.around(XY, pad=40), 0.5)
    abundance(ax, given, types=TYPES, tops=tops, where=where, unit="cells per spot")
    panels = found(drawn(ax))
    assert len(panels) == 6
    for index, panel in enumerate(panels):
        row, column = divmod(index, 3)
        spots = panel.collections[0]
        assert spots.get_clim() == (0, tops[column])
        values = list(given.values())[row][:, column]
        np.testing.assert_array_equal(np.ma.getmaskarray(spots.get_array()), np.isnan(values))
        np.testing.assert_allclose(spots.get_array().compressed(), values[np.isfinite(values)])
        np.testing.assert_allclose(spots.get_offsets(), XY)
    assert [panel.get_title() for panel in panels[:3]] == ["B $x", "T", "p" * 19 + "…"]
    assert not any(panel.get_title() for panel in panels[3:])
    assert not any(panel.title.get_parse_math() for panel in panels[:3])
    texts = [[text.get_text() for text in panel.texts] for panel in panels]
    assert texts[0][-1] == "target"
    assert texts[3] == ["guess $y"]
    assert sum("µm" in text for some in texts for text in some) == 1  # one scale bar


def test_the_unit_stands_once_and_bars_end_where_colours_do(ax):
    where = Where(XY, 80.0, Window.around(XY, pad=40))
    abundance(ax, maps(), types=TYPES, tops=np.array([0.5, 1.0, 2.0]), where=where, unit="cells per spot")
    bars = [one for one in drawn(ax).figure.axes if one.get_label() == "<colorbar>"]
    assert [one.get_xlabel() for one in bars] == ["cells per spot", "", ""]
    assert [[text.get_text() for text in one.get_xticklabels()] for one in bars] == [
        ["0", "≥ 0.5"], ["0", "≥ 1"], ["0", "≥ 2"],
    ]  # fmt: skip


def test_a_section_of_which_nothing_is_known_is_grey(ax):
    where = Where(XY, 80.0, Window.around(XY, pad=40))
    abundance(
        ax, {"a": np.full((12, 1), np.nan)}, types=["T"], tops=np.ones(1), where=where, unit="proportion"
    )
    spots = found(drawn(ax))[0].collections[0]
    assert np.ma.getmaskarray(spots.get_array()).all()
    assert spots.get_clim() == (0, 1)


# maps of pairs


def symmetric(t, seed=0):
    values = np.random.default_rng(seed).normal(size=(t, t))
    return (values + values.T) / 2


def test_the_order_is_that_of_average_linkage():
    values = symmetric(9)
    tree = hierarchy(values)
    wanted = linkage(pdist(values), "average", optimal_ordering=True)
    np.testing.assert_allclose(tree, wanted)
    np.testing.assert_array_equal(leaves(tree), leaves_list(wanted))


def test_alike_types_stand_side_by_side():
    values = np.kron(np.eye(2), np.ones((3, 3)))[[0, 3, 1, 4, 2, 5]][:, [0, 3, 1, 4, 2, 5]]
    order = leaves(hierarchy(values))
    assert {frozenset(order[:3]), frozenset(order[3:])} == {frozenset([0, 2, 4]), frozenset([1, 3, 5])}


@pytest.mark.parametrize("t", [1, 2])
def test_few_types_and_unknown_pairs(ax, t):
    values = np.full((t, t), np.nan)
    tree = hierarchy(values)
    cluster_maps(
        ax, {"truth": values}, {"truth": np.zeros((t, t), bool)}, names=TYPES[:t], tree=tree, label="R"
    )
    low, high = next(one.images[0] for one in drawn(ax).figure.axes if one.images).get_clim()
    assert low == -high < 0


def test_all_maps_stand_in_the_order_of_the_first_on_one_scale(ax):
    one, other = symmetric(5, 1), symmetric(5, 2)
    np.fill_diagonal(one, 50)  # dwarfs nothing
    marks = {"truth": np.abs(one) > 0.8, "guess": np.zeros((5, 5), bool)}
    tree, names = hierarchy(one), list("abcde")
    cluster_maps(ax, {"truth": one, "guess": other}, marks, names=names, tree=tree, label="R")
    panels, order = [one for one in drawn(ax).figure.axes if one.images], leaves(tree)
    apart = ~np.eye(5, dtype=bool)
    most = max(np.abs(one[apart]).max(), np.abs(other[apart]).max())
    for panel, values in zip(panels, (one, other), strict=True):
        np.testing.assert_allclose(panel.images[0].get_array(), values[order][:, order])
        assert panel.images[0].get_clim() == (-most, most)
        assert [text.get_text() for text in panel.get_xticklabels()] == [names[code] for code in order]
    points = panels[0].collections[0].get_offsets()
    assert len(points) == marks["truth"].sum()
    for column, row in points.astype(int):
        assert marks["truth"][order[row], order[column]]
    assert len(panels[1].collections[0].get_offsets()) == 0
    tops = [panel.child_axes[0] for panel in panels]
    assert [top.get_title() for top in tops] == ["truth", "guess"]
    assert [any(isinstance(c, LineCollection) for c in top.collections) for top in tops] == [True, False]
    branches = tops[0].collections[0].get_segments()
    assert len(branches) == 4
    assert sorted({round(float(x)) for part in branches for x in part[[0, -1], 0] if x % 1 == 0}) == list(
        range(5)
    )


# coverage and patches


def covered(**more):
    rows = [("A", "obsm:x", 0.8, 0.9), ("B", "obsm:x", 0.95, 0.9), ("(mean)", "obsm:x", 0.875, 0.9)]
    rows += [("A", "obsm:y", 0.6, 0.8), ("B", "obsm:y", 0.7, 0.8), ("(mean)", "obsm:y", 0.65, 0.8)]
    return pd.DataFrame(rows, columns=["sample", "slot", "value", "level"]).assign(**more)


def test_a_point_for_each_section_and_slot_and_a_line_at_each_level(ax):
    coverage(ax, covered())
    lines = [line for line in drawn(ax).lines if line.get_linestyle() == "-"]
    assert sorted(line.get_xdata()[0] for line in lines) == [0.8, 0.9]
    points = [line for line in ax.lines if line.get_marker() in "oD" and len(line.get_xdata())]
    values = {(line.get_color(), line.get_marker()): list(line.get_xdata()) for line in points}
    assert values == {
        (PALETTE[0], "o"): [0.8, 0.95], (PALETTE[0], "D"): [0.875],
        (PALETTE[1], "o"): [0.6, 0.7], (PALETTE[1], "D"): [0.65],
    }  # fmt: skip
    assert [text.get_text() for text in ax.get_yticklabels()] == ["(mean)", "A", "B"]
    low, high = ax.get_xlim()
    assert low <= 0.5
    assert high > 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y", "level promised"]


def test_an_unknown_level_draws_no_line(ax):
    coverage(ax, covered(level=np.nan))
    assert not [line for line in drawn(ax).lines if line.get_linestyle() == "-"]


def test_coverage_far_below_is_not_cut_off(ax):
    coverage(ax, covered(value=0.1))
    assert drawn(ax).get_xlim()[0] < 0.1


def test_patches_stand_row_by_row(ax):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    patches(ax, pixels, columns=3)
    assert len(drawn(ax).images) == 5
    for image, wanted in zip(ax.images, pixels, strict=True):
        np.testing.assert_array_equal(image.get_array(), wanted)
    assert ax.images[4].get_extent() == [1 + GAP, 2 + GAP, 2 + GAP, 1 + GAP]
    assert grid(5, 3) == pytest.approx((3 * (1 + GAP) - GAP, 2 * (1 + GAP) - GAP))
    assert grid(2, 3) == pytest.approx((2 + GAP, 1))
    assert ax.get_ylim() == pytest.approx((grid(5, 3)[1], 0))
