"""Labels of a section against a naive reference: every pixel by itself, every ring by shapely."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
import tifffile

from triptych.core.nuclei import Outlines
from triptych.pipeline.label_sections import (
    REACH_UM,
    Harmful,
    OutlinedSection,
    PicturedSection,
    some_rings,
)

from ..journeys.nuclei_study import NUCLEUS, TISSUE, Painted  # noqa: TID252

MPP, TILE_MPP = 0.5, 0.25
BOW_TIE = np.array([[0, 0], [8, 8], [8, 0], [0, 8]], float)


@pytest.fixture
def painted():
    return Painted("S", "Kidney", "D", side_px=96, mpp=MPP)


@pytest.fixture
def section(painted, tmp_path):
    """Outlines that were moved, one that crosses itself, types of which some are unknown."""
    tifffile.imwrite(tmp_path / "s.tif", painted.picture())
    rings = [*painted.rings(), BOW_TIE + 40]
    types = np.arange(len(rings)) % 4 - 1
    shift = np.random.default_rng(0).uniform(-3, 3, (len(rings), 2))
    return OutlinedSection(
        sample="S", donor="D", organ="Kidney", image=str(tmp_path / "s.tif"), scale=MPP / TILE_MPP,
        mpp=TILE_MPP, outlines=outlines_of(rings), shift_px=shift, types=types,
    )  # fmt: skip


def outlines_of(rings):
    first = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    return Outlines(np.concatenate(rings).astype(np.float32), first, np.arange(len(rings)))


def naive(section, box):
    """Number of the ring that holds the centre of each pixel, the first of several; 0 for none."""
    x0, y0, wide, tall = box
    out = np.zeros((tall, wide), int)
    first = section.outlines.first
    rings = [section.outlines.px[first[i] : first[i + 1]] for i in range(len(first) - 1)]
    for number, (ring, shift) in reversed(list(enumerate(zip(rings, section.shift_px, strict=True), 1))):
        shape = shapely.make_valid(shapely.Polygon(ring.astype(float) + shift))
        for row in range(tall):
            y = np.full(wide, (y0 + row + 0.5) / section.scale)
            inside = shapely.contains_xy(shape, (x0 + np.arange(wide) + 0.5) / section.scale, y)
            out[row, inside] = number
    return out


@pytest.mark.parametrize("box", [(0, 0, 192, 192), (-20, 150, 64, 64), (37, 11, 64, 96)])
def test_rings_fill_the_pixels_whose_centres_they_hold(section, box):
    labels = section.region(box, section.pixels(box))
    assert np.array_equal(labels.instances, naive(section, box))
    assert np.array_equal(labels.types, [-1, *section.types])


def test_what_is_doubtful_or_beyond_the_picture_is_ignored_and_nothing_else(section):
    box = (-20, 60, 128, 160)
    labels = section.region(box, section.pixels(box))
    x, y = np.meshgrid(np.arange(-20, 108), np.arange(60, 220))
    beyond = (x < 0) | (y >= 192)
    assert np.array_equal(labels.ignore, beyond | (labels.instances == len(section.types)))
    assert (labels.instances == len(section.types)).any()


def test_the_picture_is_shown_at_the_resolution_of_the_tiles(section, painted):
    pixels = section.pixels((0, 0, 192, 192)).astype(float)
    plain = painted.picture().astype(float).repeat(2, axis=0).repeat(2, axis=1)
    assert pixels.shape == (192, 192, 3)
    assert np.abs(pixels - plain).mean() < 12  # noise, and edges
    dark = np.abs(pixels - NUCLEUS).sum(axis=2) < np.abs(pixels - TISSUE).sum(axis=2)
    assert (dark == (plain.mean(axis=2) < 150)).mean() > 0.95


def test_tissue_that_is_far_from_every_outline_is_not_known(section, tmp_path):
    pixels = np.full((400, 400, 3), TISSUE, np.uint8)
    pixels[300:] = 245  # glass
    tifffile.imwrite(tmp_path / "large.tif", pixels)
    one = replace(section, image=str(tmp_path / "large.tif"), shift_px=np.zeros((len(section.types), 2)))
    assert one.bounds[2] * TILE_MPP < 96 * MPP + REACH_UM / 2 + 1  # half the reach around the outlines
    box = (0, 0, 800, 800)
    ignore = one.region(box, one.pixels(box)).ignore
    y, x = (np.mgrid[:800, :800] + 0.5) / 2
    far = np.min([np.hypot(x - cx, y - cy) for cx, cy in one.centres_px / 2], axis=0) * MPP
    glass = y > 300.5
    assert ignore[1:, :-1][((far > REACH_UM * 1.3) & (y < 299))[1:, :-1]].all()  # the rim fades into white
    assert not ignore[(far < REACH_UM * 0.5) & (one.region(box, one.pixels(box)).instances == 0)].any()
    assert not ignore[glass].any()


# -- labels that people drew -------------------------------------------------------------------------


@pytest.fixture
def pictured(painted, section):
    labels = painted.labels()
    return PicturedSection(
        **{name: getattr(section, name) for name in ("sample", "donor", "organ", "image", "scale", "mpp")},
        labels=labels, codes=np.arange(labels.max() + 1) % 3 - 1,
    )  # fmt: skip


@pytest.mark.parametrize("moved", [(0.0, 0.0), (5.0, -3.0)])
def test_a_picture_of_labels_is_read_at_the_nearest_pixel(pictured, moved):
    one = replace(pictured, moved_px=moved)
    x0, y0, wide, tall = box = (-10, 100, 128, 128)
    found = one.region(box, one.pixels(box))
    for row in range(0, tall, 3):
        for column in range(0, wide, 3):
            x = int(np.floor((x0 + column + 0.5 - moved[0]) / 2))
            y = int(np.floor((y0 + row + 0.5 - moved[1]) / 2))
            inside = 0 <= x < 96 and 0 <= y < 96
            assert found.instances[row, column] == (one.labels[y, x] if inside else 0)
    assert np.array_equal(found.ignore, one.outside(box))
    assert one.bounds == (0, 0, 192, 192)


def test_centres_of_drawn_nuclei_are_their_centres_of_mass(pictured):
    for number, centre in enumerate(pictured.centres_px, 1):
        y, x = np.nonzero(pictured.labels == number)
        assert centre == pytest.approx([2 * (x.mean() + 0.5), 2 * (y.mean() + 0.5)])


# -- harm that is done on purpose --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["section", "pictured"])
def test_harm_does_what_it_says(kind, request):
    one = request.getfixturevalue(kind)
    box, by = (0, 0, 192, 192), (6.0, -4.0)
    plain = one.region(box, one.pixels(box)).instances
    moved = one.with_harm(Harmful(0, 0, by, np.random.default_rng(0)), 3)
    found = moved.region(box, one.pixels(box)).instances
    assert np.array_equal(found[:-4, 6:], plain[4:, :-6])
    lossy = one.with_harm(Harmful(0, 0.5, (0.0, 0.0), np.random.default_rng(0)), 3)
    lost = 1 - len(np.unique(lossy.region(box, one.pixels(box)).instances)) / len(np.unique(plain))
    assert 0.25 < lost < 0.75


def test_types_are_flipped_to_others_and_unknown_ones_stay():
    types = np.arange(20000) % 4 - 1
    found = Harmful(0.3, 0, (0.0, 0.0), np.random.default_rng(0)).types(types, 3)
    known = types >= 0
    assert np.array_equal(found[~known], types[~known])
    assert set(found[known]) == {0, 1, 2}
    assert (found != types)[known].mean() == pytest.approx(0.3, abs=0.02)
    alone = Harmful(0.3, 0, (0.0, 0.0), np.random.default_rng(0)).types(types, 1)
    assert np.array_equal(alone, types)


def test_some_rings_keep_their_vertices():
    rings = [np.arange(2 * n, dtype=float).reshape(n, 2) + 10 * n for n in (3, 5, 4)]
    found = some_rings(outlines_of(rings), np.array([True, False, True]))
    assert found.first.tolist() == [0, 3, 7]
    assert np.array_equal(found.px, np.concatenate([rings[0], rings[2]]))
    assert found.row.tolist() == [0, 2]
