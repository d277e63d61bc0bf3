"""Plots of what views tell, read back from the axes."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from triptych.plots.genes import LOWEST, NAMED, explained
from triptych.plots.halves import STEPS, halves, step
from triptych.plots.heat import shares
from triptych.plots.histogram import histogram
from triptych.plots.lanes import LANE, lanes
from triptych.plots.training import GAP, losses, pairs

NAN = float("nan")


@pytest.fixture
def ax():
    return Figure(figsize=(5, 3), dpi=50, layout="constrained").add_subplot()


def drawn(ax):
    FigureCanvasAgg(ax.figure).draw()
    return ax


def names(labels):
    return [text.get_text() for text in labels]


def test_shares_are_written_into_their_cells_and_unknown_ones_are_not(ax):
    values = np.array([[0.0, 0.456, NAN], [1.0, 0.7, 0.1]])
    shares(ax, values, rows=["view $x", "w"], columns=["a", "b", "c"], numbers=True)
    written = {text.get_position(): text.get_text() for text in drawn(ax).texts}
    assert written == {(0, 0): ".00", (1, 0): ".46", (0, 1): "1.00", (1, 1): ".70", (2, 1): ".10"}
    dark = {text.get_text() for text in ax.texts if text.get_color() == "white"}
    assert dark == {"1.00", ".70"}
    assert names(ax.get_yticklabels()) == ["view $x", "w"]
    assert not any(text.get_parse_math() for text in ax.get_yticklabels())


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        (0.0, 0),
        (0.001, 0),
        (0.001 + 1e-15, 0),
        (0.0011, 1),
        (0.01, 2),
        (0.02, 3),
        (0.0499, 3),
        (0.05, 4),
        (1.0, 4),
    ],
)
def test_steps_of_p(p, wanted):
    assert step(np.array([p])).tolist() == [wanted]


def test_one_test_stands_above_the_diagonal_and_one_below(ax):
    upper, lower = np.full((3, 3), 0.001), np.full((3, 3), 0.5)
    lower[2, 0] = NAN
    halves(ax, upper, lower, names=["a", "b", "$c"], titles=("PERMANOVA", "PERMDISP"))
    image = drawn(ax).images[0]
    shown = image.get_array()
    assert shown.filled(-1).tolist() == [[-1, 0, 0], [4, -1, 0], [-1, 4, -1]]
    assert to_hex(image.cmap(image.norm(4))) == STEPS[-1][1] == "#000000"
    assert ax.get_title() == "above: PERMANOVA   below: PERMDISP"


def test_genes_fall_and_the_first_are_named_without_overlap():
    ax = Figure(figsize=(5.6, 3.8), dpi=100, layout="constrained").add_subplot()
    r2 = np.concatenate([np.full(5, 0.4), np.linspace(0.3, -2, 25)])
    significant = np.arange(30) < 9
    genes = [f"$g{i}" for i in range(30)]
    explained(ax, r2, deviation=np.full(30, 0.1), blocks=r2 - 0.1, names=genes, significant=significant)
    lines = {line.get_label(): line for line in drawn(ax).lines if not line.get_label().startswith("_")}
    assert len(lines["random splits"].get_xdata()) == 9
    pale = lines["no column associated (padj ≥ 0.05)"]
    assert pale.get_alpha() < 0.5
    assert pale.get_ydata().min() == LOWEST
    assert lines["whole blocks held out"].get_markerfacecolor() == "none"
    assert names(ax.texts) == genes[:NAMED]
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the line that leads to it
    assert all(above.y0 > below.y1 - 2 for above, below in pairwise(boxes))
    assert boxes[-1].y0 > ax.bbox.y0


@pytest.mark.parametrize("count", [1, 2])
def test_few_genes_and_no_blocks(ax, count):
    flat, yes = np.zeros(count), np.ones(count, bool)
    explained(ax, flat, deviation=flat, blocks=flat * NAN, names=["g"] * count, significant=yes)
    assert names(drawn(ax).get_legend().get_texts()) == ["random splits"]


def bars(*rows):
    return pd.DataFrame(rows, columns=["row", "lane", "value", "low", "high"])


def test_bars_are_as_long_as_their_values_and_lanes_have_scales_of_their_own(ax):
    table = bars(
        ("a", "AMI", 0.5, 0.4, 0.6), ("b", "AMI", 0.25, NAN, NAN), ("a", "Silhouette", -0.1, NAN, NAN),
        ("b", "Silhouette", 0.1, NAN, NAN), ("b", "Silhouette", 0.05, NAN, NAN), ("a", "ARI", NAN, NAN, NAN),
    )  # fmt: skip
    lanes(ax, table, floors={"AMI": 0.0})
    first, second, down, *two = drawn(ax).patches
    assert first.get_width() == pytest.approx(2 * second.get_width())
    assert down.get_width() == pytest.approx(-0.5)
    assert down.get_x() == pytest.approx(LANE + 0.5)
    assert two[0].get_height() == pytest.approx(two[1].get_height()) == pytest.approx(down.get_height() / 2)
    assert names(ax.texts) == ["0.50", "0.25", "−0.10", "0.10", "0.05"]
    assert names(ax.get_yticklabels()) == ["a", "b"]
    assert names(ax.get_xticklabels()) == ["AMI", "Silhouette", "ARI"]
    low, high = next(
        line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "|"
    ).get_xdata()
    assert (low, high) == pytest.approx((0.4 / 0.6, 1.0))


def test_observations_are_counted_from_the_top(ax):
    histogram(ax, np.array([3000, 1000]), names=["$many", "few"], codes=[1, -1])
    assert [bar.get_width() for bar in drawn(ax).patches] == [3000, 1000]
    assert names(ax.texts) == ["3\u2009000 (75.0%)", "1\u2009000 (25.0%)"]
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_inputs_stand_above_their_reconstructions(ax):
    given = np.arange(3 * 2 * 4 * 8, dtype=np.uint8).reshape(3, 2, 4, 8)
    pairs(ax, given)
    images = drawn(ax).images
    assert len(images) == 6
    np.testing.assert_array_equal(images[1].get_array(), given[0, 1])
    assert images[2].get_extent()[0] == pytest.approx(1 + GAP)
    assert images[0].get_extent()[2] < images[1].get_extent()[2]
    assert images[0].get_clim() == (0, 255)  # a dark reconstruction looks dark
    assert names(ax.get_yticklabels()) == ["input", "reconstruction"]


@pytest.mark.parametrize(("least", "scale"), [(0.1, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_losses_are_drawn_on_a_scale_that_holds_them(ax, least, scale):
    losses(ax, {"dice $": np.array([1.0, 0.5]), "kl": np.array([least, NAN])})
    assert drawn(ax).get_yscale() == scale
    assert names(ax.get_legend().get_texts()) == ["dice $", "kl"]
    assert ax.lines[0].get_xdata().tolist() == [1, 2]
