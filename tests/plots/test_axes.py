"""What is drawn, read back from the axes."""

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from triptych.plots.embedding import as_it_is, embedding, project
from triptych.plots.heat import shares
from triptych.plots.legend import legend
from triptych.plots.palette import PALETTE, paint
from triptych.plots.scores import CONTROLS, named, scores, slot_colours
from triptych.plots.slide import slide
from triptych.plots.spatial import MANY, spacing, spatial
from triptych.plots.window import Window, bar_um, length_text, round_length


@pytest.fixture
def ax():
    return Figure(figsize=(3, 3), dpi=50).add_subplot()


def pixels(ax):
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def square(side=6, pitch=100.0):
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    return np.column_stack([x.ravel(), y.ravel()]) * pitch


def test_no_pyplot_is_loaded():
    assert "matplotlib.pyplot" not in sys.modules or any(
        other in sys.modules for other in ("squidpy", "scanpy", "decoupler")
    )


def test_spots_have_their_true_size_and_place():
    figure = Figure(figsize=(4, 2), dpi=50)
    ax = figure.add_axes((0, 0, 1, 1))  # one unit is one pixel
    spatial(
        ax, np.array([[50.0, 40.0]]), np.array([0]), size=55, um_per_unit=None, window=Window(0, 0, 200, 100)
    )
    rows, columns = np.nonzero(pixels(ax)[:, :, 0] < 128)
    assert len(rows) == pytest.approx(np.pi * 27.5**2, rel=0.02)
    assert (columns.mean(), rows.mean()) == pytest.approx((49.5, 39.5), abs=0.6)


def test_y_points_down_and_the_aspect_is_equal(ax):
    spatial(ax, square(), np.zeros(36, dtype=int))
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert ax.get_aspect() == 1


def test_labels_take_the_palette_and_values_a_ramp(ax):
    codes = np.arange(36) % 7 - 1
    np.testing.assert_allclose(spatial(ax, square(), codes).get_facecolors(), paint(codes))
    values = np.linspace(0, 1, 36)
    values[3] = np.nan
    ramp = spatial(ax, square(), values)
    pixels(ax)
    assert len(np.unique(ramp.get_facecolors(), axis=0)) > 20


def test_scale_bar_only_where_there_is_a_scale(ax):
    spatial(ax, square(), np.zeros(36, dtype=int), um_per_unit=None)
    assert not ax.texts
    spatial(ax, square(), np.zeros(36, dtype=int), um_per_unit=0.5)
    assert ax.texts[0].get_text() == "50 µm"
    np.testing.assert_allclose(np.ptp(ax.lines[0].get_xdata()), 100)


def test_many_points_are_rasterised(ax):
    rng = np.random.default_rng(0)
    assert spatial(ax, rng.random((MANY + 1, 2)), np.zeros(MANY + 1, dtype=int), size=0.01).get_rasterized()


@pytest.mark.parametrize(
    "xy", [np.zeros((0, 2)), np.zeros((1, 2)), np.zeros((5, 2)), np.full((2, 2), np.nan)]
)
def test_degenerate_sections_are_drawn(ax, xy):
    spatial(ax, xy, np.zeros(len(xy), dtype=int))
    assert pixels(ax).size


def test_spacing_is_the_median_of_naive_neighbours():
    xy = np.random.default_rng(0).random((80, 2))
    far = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.eye(80) * 9
    assert spacing(xy) == pytest.approx(np.median(far.min(axis=1)))


@pytest.mark.parametrize(
    ("limit", "length"), [(1, 1), (1.99, 1), (2, 2), (730, 500), (1000, 1000), (0.04, 0.02)]
)
def test_round_lengths(limit, length):
    assert round_length(limit) == pytest.approx(length)


def test_lengths_in_words():
    assert length_text(500) == "500 µm"
    assert length_text(2000) == "2 mm"
    assert bar_um(Window(0, 0, 100, 50), 10.0) == 200


def test_slide_lies_under_its_observations(ax):
    image = np.zeros((10, 20, 3), dtype=np.uint8)
    image[:5, :10] = (255, 0, 0)  # upper left
    slide(ax, image, Window(0, 0, 200, 100), um_per_unit=None)
    assert ax.get_ylim() == (100, 0)
    seen = pixels(ax)
    column, row = ax.transData.transform((20, 20))
    assert tuple(seen[seen.shape[0] - int(row), int(column), :3]) == (255, 0, 0)


def test_projection_is_that_of_the_singular_value_decomposition():
    z = np.random.default_rng(0).normal(size=(200, 6)) * [5, 3, 1, 1, 0.5, 0.1]
    found = project(z, np.random.default_rng(1))
    centred = (z - z.mean(axis=0))[found.rows]
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.xy), np.abs(u[:, :2] * s[:2]), atol=1e-8)
    np.testing.assert_allclose(found.explained, s[:2] ** 2 / (s**2).sum())


def test_projection_is_limited_reproducible_and_skips_what_is_not_finite():
    z = np.random.default_rng(0).normal(size=(500, 3))
    z[::5] = np.nan
    one, two = (project(z, np.random.default_rng(4), limit=100) for _ in range(2))
    np.testing.assert_array_equal(one.xy, two.xy)
    assert len(one.rows) <= 100
    assert np.isfinite(one.xy).all()
    assert not (one.rows % 5 == 0).any()


@pytest.mark.parametrize(
    "z", [np.zeros((1, 4)), np.zeros((9, 4)), np.arange(9.0)[:, None], np.full((3, 2), np.nan)]
)
def test_degenerate_spaces_are_drawn(ax, z):
    embedding(ax, project(z, np.random.default_rng(0)), np.zeros(len(z), dtype=int))
    assert pixels(ax).size


def score_rows(names):
    slots = ["obs:domain", "obs:domain.b", "control:shuffled"]
    rows = [(slot, name, 0.1 * i, 0.05, 0.6) for i, slot in enumerate(slots) for name in [*names, "(mean)"]]
    return pd.DataFrame(rows, columns=["slot", "sample", "value", "low", "high"])


def test_scores_show_every_sample_after_the_mean(ax):
    scores(ax, score_rows(["b", "a$x_{", "<i>"]))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["(mean)", "b", "a$x_{", "<i>"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert pixels(ax).size  # the dollar sign is no formula


def test_marks_and_names_of_controls_can_be_turned_round(ax):
    rows = score_rows(["b"])
    scores(ax, rows, controls={"control:shuffled": ("d", "shuffled (ceiling)")})
    grey = [line for line in ax.lines if line.get_marker() == "d"]
    assert len(grey) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "shuffled (ceiling)"
    assert ax.get_legend().legend_handles[-1].get_marker() == "d"


def test_a_control_of_one_of_several_spaces_keeps_its_mark():
    assert named("control:shuffled in X_a", CONTROLS) == ("|", "shuffled in X_a")
    assert named("control:other", CONTROLS) == ("x", "other")
    assert named("obs:batch in X_a", CONTROLS) == ("o", "batch in X_a")


def test_long_names_are_shortened(ax):
    scores(ax, score_rows(["a" * 30 + "z"]))
    assert ax.get_yticklabels()[1].get_text() == "aaaaaaaaaa…aaaaaaaaz"


def test_controls_are_grey_and_slots_have_colours_of_their_own():
    colours = slot_colours(["obs:a", "control:oracle", "obs:b", "obs:a"])
    assert colours["obs:a"] == PALETTE[0]
    assert colours["obs:b"] == PALETTE[1]
    assert colours["control:oracle"] not in PALETTE


def test_legend_names_everything(ax):
    legend(ax, {"WM": 0, "_hidden $": 1, "none": -1})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["WM", "_hidden $", "none"]
    assert pixels(ax).size


def test_a_map_is_drawn_as_it_is_without_names_of_axes(ax):
    z = np.random.default_rng(0).normal(size=(50, 2))
    z[3, 1] = np.nan
    found = as_it_is(z, np.random.default_rng(1), limit=40)
    assert np.array_equal(found.xy, z[found.rows])
    assert 39 <= len(found.rows) <= 40
    assert 3 not in found.rows
    embedding(ax, found, np.zeros(50, dtype=int))
    assert not ax.axison
    assert ax.get_aspect() == 1.0


def test_shares_go_from_white_to_dark(ax):
    shares(ax, np.array([[0.0, 0.5, 1.0]]), rows=["a"], columns=["x", "y", "$z"], label="share")
    assert ax.images[0].get_clim() == (0.0, 1.0)
    colours = ax.images[0].to_rgba(ax.images[0].get_array())[0, :, :3].sum(axis=1)
    assert (np.diff(colours) < 0).all()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["x", "y", "$z"]
