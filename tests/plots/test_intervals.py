"""Forest plots and dots, read back from the axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from triptych.plots.intervals import BASELINE, MANY, OPEN, RESULT, dots, intervals
from triptych.plots.palette import PALETTE


@pytest.fixture
def ax():
    return Figure(figsize=(5, 3), dpi=50).add_subplot()


def drawn(ax):
    FigureCanvasAgg(ax.figure).draw()


def forest(groups=("labels", "bic")):
    rows = [
        (name, group, mark, 0.1 * i + 0.02 * j, 0.1 * i, 0.1 * i + 0.09)
        for i, (name, mark) in enumerate([("a", RESULT), ("PCA", BASELINE), ("c", OPEN)])
        for j, group in enumerate(groups)
    ]
    return pd.DataFrame(rows, columns=["name", "group", "mark", "value", "low", "high"])


def points(ax):
    return {
        (round(float(x), 6), round(float(y), 6)): line
        for line in ax.lines
        if line.get_marker() in {"o", "s"} and line.get_markeredgewidth() > 0
        for x, y in zip(*line.get_data(), strict=True)
    }


def test_each_value_and_interval_is_on_its_row(ax):
    table = forest()
    intervals(ax, table, label="ARI")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "PCA", "c"]
    seen = points(ax)
    assert len(seen) == 6
    assert sorted(x for x, _ in seen) == pytest.approx(sorted(table["value"]))
    for (x, y), line in seen.items():
        row = table.iloc[(table["value"] - x).abs().argmin()]
        assert round(y) == ["a", "PCA", "c"].index(row["name"])
        assert to_hex(line.get_color()).upper() == PALETTE[["labels", "bic"].index(row["group"])]
    segments = np.concatenate([part.get_segments() for part in ax.collections])
    assert sorted(segments[:, 0, 0]) == pytest.approx(sorted(table["low"]))
    assert sorted(segments[:, 1, 0]) == pytest.approx(sorted(table["high"]))
    assert len({round(y, 6) for _, y in seen}) == 6  # no point hides another
    top, bottom = ax.transData.transform([(0, 0), (0, 2)])[:, 1]
    assert top > bottom  # the first is on top


def test_marks_have_a_shape_and_an_entry_in_the_legend(ax):
    intervals(ax, forest(), label="ARI")
    shapes = {
        round(y): (line.get_marker(), line.get_markerfacecolor()) for (_, y), line in points(ax).items()
    }
    assert shapes[1][0] == "s"
    assert shapes[2][1] == "none"
    assert shapes[0][1] != "none"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["labels", "bic", BASELINE, OPEN]


def test_no_legend_for_one_plain_group(ax):
    intervals(ax, forest(("",)).assign(mark=RESULT), label="ARI")
    assert ax.get_legend() is None


@pytest.mark.parametrize("zero", [True, False])
def test_line_at_zero(ax, zero):
    intervals(ax, forest(), label="difference", zero=zero)
    at_zero = [line for line in ax.lines if list(line.get_xdata()) == [0, 0]]
    assert len(at_zero) == zero


def test_what_is_missing_is_left_out(ax):
    intervals(ax, forest().assign(low=np.nan, high=np.nan), label="ARI")
    drawn(ax)
    other = Figure().add_subplot()
    intervals(other, forest().iloc[:0], label="ARI")
    dots(other, pd.DataFrame(columns=["name", "sample", "group", "value"]), label="ARI")
    drawn(other)


def seeds():
    rng = np.random.default_rng(0)
    rows = [(n, s, s[0], rng.random()) for n in ("a", "b") for s in ("A1", "A2", "B1") for _ in range(4)]
    return pd.DataFrame(rows, columns=["name", "sample", "group", "value"])


def test_dots_have_means_seeds_and_their_range(ax):
    table = seeds()
    dots(ax, table, label="ARI")
    lines, small, large = ax.collections
    each = table.groupby(["name", "sample"])["value"]
    assert sorted(large.get_offsets()[:, 0]) == pytest.approx(sorted(each.mean()))
    assert sorted(small.get_offsets()[:, 0]) == pytest.approx(sorted(table["value"]))
    segments = np.array(lines.get_segments())
    assert sorted(segments[:, 0, 0]) == pytest.approx(sorted(each.min()))
    assert sorted(segments[:, 1, 0]) == pytest.approx(sorted(each.max()))
    for (x, y), shade in zip(large.get_offsets(), large.get_facecolors(), strict=True):
        name, sample = each.mean().sub(x).abs().idxmin()
        assert round(y) == ["a", "b"].index(name)
        assert to_hex(shade).upper() == PALETTE["AB".index(sample[0])]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["A", "B"]


def test_too_many_groups_share_a_colour(ax):
    table = seeds()
    table = pd.concat([table.assign(group=str(i), sample=str(i)) for i in range(MANY + 1)])
    dots(ax, table, label="ARI")
    assert len(np.unique(ax.collections[2].get_facecolors(), axis=0)) == 1
    assert ax.get_legend() is None


def test_names_are_short_and_no_formula(ax):
    long = f"$\\undefined{{{'x' * 60}$"
    intervals(ax, forest().assign(name=long), label="$\\nonsense{$")
    drawn(ax)
    (shown,) = [text.get_text() for text in ax.get_yticklabels()]
    assert "…" in shown
    assert len(shown) <= 38


def test_a_bound_is_a_line_and_the_axis_begins_at_zero(ax):
    table = pd.DataFrame({"name": ["a", "b"], "sample": "s", "group": "s", "value": [0.4, 0.7]})
    dots(ax, table, label="ratio", bound=1.0)
    drawn(ax)
    assert [line for line in ax.lines if list(line.get_xdata()) == [1.0, 1.0]]
    low, high = ax.get_xlim()
    assert low == 0
    assert high > 1
