"""Outlines of nuclei in the colours of their types, and what is ignored."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from triptych.core.nuclei import UNKNOWN, Outlines, Tiles
from triptych.plots.nuclei import FOG, UNTYPED, fogged, labelled_tiles, rings, types_of
from triptych.plots.palette import PALETTE

SQUARES = Outlines(
    np.array([[0, 0], [2, 0], [2, 2], [0, 2], [4, 4], [5, 4], [5, 5]], np.float32), np.array([0, 4, 7]),
    np.array([0, 1]),
)  # fmt: skip


def test_rings_are_closed_and_have_the_colour_of_their_type():
    drawn = rings(SQUARES, np.array([2, -1]))
    for line, start, end in zip(drawn.get_segments(), (0, 4), (4, 7), strict=True):
        np.testing.assert_array_equal(line[:-1], SQUARES.px[start:end])
        np.testing.assert_array_equal(line[0], line[-1])
    np.testing.assert_allclose(drawn.get_colors(), [to_rgba(PALETTE[2]), to_rgba(UNTYPED)])


def test_no_rings_are_drawn_of_nothing():
    nothing = Outlines(np.empty((0, 2), np.float32), np.zeros(1, int), np.empty(0, int))
    assert not len(rings(nothing, np.empty(0, int)).get_segments())


def test_each_number_has_the_type_of_its_pixels():
    instances = np.array([[0, 1, 1], [3, 3, 4]])
    types = np.array([[0, 2, 2], [1, 1, UNKNOWN]], np.uint8)
    np.testing.assert_array_equal(types_of(instances, types), [-1, 1, -1, 0, -1])


def test_only_what_is_ignored_is_veiled():
    pixels = np.full((20, 20, 3), 10, np.uint8)
    ignore = np.zeros((20, 20), bool)
    ignore[5:15] = True
    shown = fogged(pixels, ignore)
    assert (shown[~ignore] == 10).all()
    assert len(np.unique(shown[ignore])) == 2  # stripes
    assert (shown[ignore] > 10).all()
    assert (shown[ignore] < FOG).all()


@pytest.mark.parametrize("columns", [1, 2])
def test_every_nucleus_of_every_tile_is_outlined(columns):
    image, instances = np.full((2, 8, 8, 3), 200, np.uint8), np.zeros((2, 8, 8), np.int32)
    types = np.zeros((2, 8, 8), np.uint8)
    instances[0, 1:3, 1:3], types[0, 1:3, 1:3] = 1, 1
    instances[1, 4:7, 4:6], types[1, 4:7, 4:6] = 1, 2
    instances[1, 0:2, 0:2], types[1, 0:2, 0:2] = 2, UNKNOWN
    ax = Figure().add_subplot()
    labelled_tiles(ax, Tiles(image, instances, types, np.zeros((2, 8, 8), bool)), [5, 3], columns=columns)
    one, two = ax.collections
    np.testing.assert_allclose(one.get_colors(), [to_rgba(PALETTE[5])])
    np.testing.assert_allclose(two.get_colors(), [to_rgba(PALETTE[3]), to_rgba(UNTYPED)])
    box = one.get_segments()[0]
    np.testing.assert_allclose([box.min(axis=0), box.max(axis=0)], [[1 / 8, 1 / 8], [3 / 8, 3 / 8]])
    corner = two.get_segments()[0].min(axis=0) - [4 / 8, 4 / 8]
    assert (corner > 1).tolist() == [columns == 2, columns == 1]  # the second tile lies beside, or below
