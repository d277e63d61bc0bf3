"""Simulated transcripts and outlines: without noise they are the truth, and each dial does what it says."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from triptych.core.nuclei import Outlines
from triptych.maths.polygons import areas_px, crossing, rasterised, traced
from triptych.maths.simulated_dials import Dials, Warp
from triptych.maths.simulated_outlines import (
    Displacement,
    drawn_displacement,
    jittered,
    joined,
    patch_of,
    picked,
    shapes,
    spurious_of,
    types_by_shape,
)
from triptych.maths.simulated_transcripts import (
    CONTROLS,
    Nuclei,
    drawn_genes,
    drawn_numbers,
    other_nuclei,
    places_in,
    simulated,
)

MPP = 0.25
CLEAN = Dials(dropout=0, spill=0, misassigned=0, background=0, low_quality=0, controls=0)
STILL = Warp(shift_um=0, scale=0, jitter_um=0, lost=0, spurious=0)


def grid_of(side=12, radius=7, pitch=24):
    """Round nuclei of two sizes on a square grid."""
    y, x = np.mgrid[: side * pitch, : side * pitch]
    cell = (y // pitch) * side + x // pitch
    away = np.hypot(y % pitch - pitch / 2 + 0.5, x % pitch - pitch / 2 + 0.5)
    return np.where(away < radius - 2 * (cell % 2), cell + 1, 0).astype(np.int32)


@pytest.fixture(scope="module")
def nuclei():
    return Nuclei.of(grid_of())


@pytest.fixture(scope="module")
def profiles():
    values = np.random.default_rng(1).dirichlet(np.ones(30), 3)
    values[0, :5] = 0
    values[2, -4:] = 0
    return values / values.sum(axis=1, keepdims=True)


def made(nuclei, profiles, dials, seed=0, **changes):
    profile = np.arange(len(nuclei.areas)) % len(profiles)
    rng = np.random.default_rng(seed)
    return profile, simulated(
        nuclei, profile, profiles, dials=dataclasses.replace(dials, **changes), mpp=MPP, rng=rng
    )


def near(share, of, number):
    """Whether a share is that of a dial, within four standard errors."""
    return abs(share - of) < 4 * np.sqrt(of * (1 - of) / number)


def test_pixels_areas_and_centres_equal_loops():
    instances = np.random.default_rng(3).integers(0, 6, (17, 23)).astype(np.int32)
    nuclei = Nuclei.of(instances)
    for row in range(5):
        y, x = np.nonzero(instances == row + 1)
        pixel = nuclei.pixel[nuclei.first[row] : nuclei.first[row + 1]]
        assert pixel.tolist() == (y * 23 + x).tolist()
        assert nuclei.areas[row] == len(y)
        assert nuclei.centres[row] == pytest.approx([x.mean() + 0.5, y.mean() + 0.5])


def test_without_noise_transcripts_lie_in_their_own_nucleus(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN)
    assert np.array_equal(got.maker, got.lies)
    assert np.array_equal(got.maker, got.cell)
    x, y = got.px.astype(int).T
    assert np.array_equal(nuclei.instances[y, x] - 1, got.maker)
    assert got.quality.min() >= 20
    assert got.gene.max() < profiles.shape[1]


def test_numbers_follow_the_area_and_the_mean(nuclei, profiles):
    numbers = np.array([drawn_numbers(nuclei.areas, CLEAN, np.random.default_rng(k)) for k in range(300)])
    assert numbers.mean() == pytest.approx(CLEAN.counts, rel=0.02)
    ratio = numbers[:, ::2].mean() / numbers[:, 1::2].mean()
    areas = nuclei.areas
    assert ratio == pytest.approx(areas[::2].mean() / areas[1::2].mean(), rel=0.04)
    mean = CLEAN.counts * areas / areas.mean()
    assert numbers.var(axis=0).mean() == pytest.approx((mean + mean**2 / CLEAN.dispersion).mean(), rel=0.1)
    poisson = dataclasses.replace(CLEAN, dispersion=0)
    numbers = np.array([drawn_numbers(areas, poisson, np.random.default_rng(k)) for k in range(300)])
    assert (numbers.var(axis=0) / numbers.mean(axis=0)).mean() == pytest.approx(1, rel=0.05)


def test_genes_follow_the_profile(nuclei, profiles):
    profile, got = made(nuclei, profiles, CLEAN, counts=400)
    for row, frequencies in enumerate(profiles):
        seen = np.bincount(got.gene[profile[got.maker] == row], minlength=30)
        there = frequencies > 0
        assert not seen[~there].any()
        expected = frequencies[there] / frequencies[there].sum() * seen.sum()
        assert stats.chisquare(seen[there], expected).pvalue > 1e-4


def test_a_wrong_profile_is_told_apart(nuclei, profiles):
    profile, got = made(nuclei, profiles, CLEAN)
    seen = np.bincount(got.gene[profile[got.maker] == 1], minlength=30)
    assert stats.chisquare(seen, np.full(30, seen.sum() / 30)).pvalue < 1e-9


def test_genes_equal_a_search_profile_by_profile(profiles):
    row = np.random.default_rng(4).integers(0, 3, 500)
    got = drawn_genes(row, profiles, np.random.default_rng(5))
    ends, u = np.cumsum(profiles, axis=1), np.random.default_rng(5).random(500)
    expected = [
        np.searchsorted(ends[k] / ends[k, -1], one, side="right") for k, one in zip(row, u, strict=True)
    ]
    assert got.tolist() == expected


def test_places_fill_a_nucleus_evenly(nuclei):
    px = places_in(nuclei, np.zeros(40_000, int), np.random.default_rng(0))
    x, y = px.astype(int).T
    seen = np.bincount(y * nuclei.instances.shape[1] + x, minlength=nuclei.instances.size)
    assert stats.chisquare(seen[nuclei.pixel[: nuclei.first[1]]]).pvalue > 1e-4
    assert px.mean(axis=0) == pytest.approx(nuclei.centres[0], abs=0.1)


def test_dropout_takes_its_share(nuclei, profiles):
    _, whole = made(nuclei, profiles, CLEAN, counts=300, dispersion=0)
    _, left = made(nuclei, profiles, CLEAN, counts=300, dispersion=0, dropout=0.3)
    assert near(len(left.px) / len(whole.px), 0.7, len(whole.px))
    assert not len(made(nuclei, profiles, CLEAN, dropout=1)[1].px)


def test_spill_goes_to_near_neighbours(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN, spill=0.2, spill_um=7)
    away = got.lies != got.maker
    assert near(away.mean(), 0.2, len(away))
    assert (got.lies >= 0).all()
    apart = np.hypot(*(nuclei.centres[got.lies[away]] - nuclei.centres[got.maker[away]]).T)
    assert apart.max() <= 7 / MPP
    assert np.array_equal(got.cell, got.lies)


def test_spill_without_neighbours_goes_into_free_ground(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN, spill=0.5, spill_um=2)  # the next edge is 2.5 µm away
    free = got.lies < 0
    assert 0.05 < free.mean() < 0.5
    assert (got.cell[free] == -1).all()
    assert set(np.unique(got.lies[~free] - got.maker[~free])) == {0}
    height, width = nuclei.instances.shape
    assert (got.px >= 0).all()
    assert (got.px < (width, height)).all()


def test_misassigned_ones_stay_where_they_are(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN, misassigned=0.1)
    assert np.array_equal(got.maker, got.lies)
    assert near((got.cell != got.lies).mean(), 0.1, len(got.cell))
    assert (got.cell >= 0).all()


def test_background_lies_anywhere(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN, background=0.5)
    free = got.maker < 0
    assert free.sum() / (~free).sum() == pytest.approx(0.5, rel=0.05)
    assert near((got.lies[free] >= 0).mean(), (nuclei.instances > 0).mean(), free.sum())
    seen = np.bincount(got.gene[free], minlength=30)
    expected = (profiles[np.arange(len(nuclei.areas)) % 3].mean(axis=0) + 1 / 30) / 2 * seen.sum()
    assert stats.chisquare(seen, expected).pvalue > 1e-4
    assert got.gene.max() < profiles.shape[1]


def test_a_little_background_shows_the_whole_panel(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN, counts=1, background=1e-6)
    assert sorted(got.gene[got.maker < 0]) == list(range(30))


def test_controls_and_poor_quality_have_their_shares(nuclei, profiles):
    _, got = made(nuclei, profiles, CLEAN, controls=0.1, low_quality=0.3)
    control = got.gene >= profiles.shape[1]
    assert near(control.mean(), 0.1, len(control) / 4)
    assert near((got.quality < 20).mean(), 0.3, len(control))
    assert got.gene.max() < profiles.shape[1] + CONTROLS


def test_the_same_seed_gives_the_same_bits(nuclei, profiles):
    one, same, other = (made(nuclei, profiles, Dials(), seed)[1] for seed in (7, 7, 8))
    for field in dataclasses.fields(one):
        assert getattr(one, field.name).tobytes() == getattr(same, field.name).tobytes()
    assert one.px.tobytes() != other.px.tobytes()


@pytest.mark.parametrize("instances", [np.zeros((9, 9), np.int32), np.ones((9, 9), np.int32)])
def test_sections_of_no_nucleus_and_of_one(instances, profiles):
    _, got = made(Nuclei.of(instances), profiles, Dials())
    assert set(np.unique(got.cell)) <= {-1, 0}
    assert (len(got.px) > 0) == bool(instances.any())


def test_there_is_no_other_nucleus_than_the_only_one(nuclei):
    only = Nuclei.of(np.ones((5, 5), np.int32))
    assert other_nuclei(only, np.zeros(3, int), np.random.default_rng(0)).tolist() == [-1, -1, -1]
    rows = np.repeat(np.arange(len(nuclei.areas)), 5)
    assert (other_nuclei(nuclei, rows, np.random.default_rng(0)) != rows).all()


@pytest.mark.parametrize(
    ("cls", "values", "words"),
    [
        (Dials, {"dropout": 1.5, "spill": -1}, ("dropout is a share from 0 to 1", "spill is a share")),
        (Dials, {"counts": float("nan")}, ("counts is 0 or more",)),
        (Dials, {"controls": 1.0}, ("controls is a share from 0 to below 1",)),
        (Warp, {"lost": 2, "shift_um": -1, "scale": 1}, ("lost is a share", "shift_um is 0", "scale is an")),
    ],
)
def test_dials_out_of_range_are_told_together(cls, values, words):
    with pytest.raises(ValueError) as caught:
        cls(**values)
    assert all(word in str(caught.value) for word in words)


def test_outlines_without_noise_are_the_nuclei():
    outlines = traced(grid_of())
    away = drawn_displacement(STILL, (10, 20), mpp=MPP, rng=np.random.default_rng(0))
    assert np.array_equal(away.moved(outlines.px), outlines.px)
    assert jittered(outlines, 0.0, np.random.default_rng(0)) is outlines
    assert spurious_of(outlines, grid_of(), 0, np.random.default_rng(0)).first.tolist() == [0]


def test_displacements_fill_the_range():
    rng, warp = np.random.default_rng(0), Warp(shift_um=2, scale=0.003)
    drawn = [drawn_displacement(warp, (100, 50), mpp=MPP, rng=rng) for _ in range(500)]
    length = np.array([np.hypot(one.dx_px, one.dy_px) for one in drawn])
    assert 7.9 < length.max() <= 8
    assert length.mean() == pytest.approx(4, rel=0.1)
    scale = np.array([one.scale for one in drawn])
    assert 0.0029 < np.abs(scale - 1).max() <= 0.003
    assert Displacement(1, 2, 1.1, (50, 25)).moved(np.array([[50.0, 25], [60, 25]])).tolist() == [
        [51, 27], [62, 27],
    ]  # fmt: skip


def test_jitter_has_its_size_and_crosses_nothing():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = 20 * np.column_stack([np.cos(angle), np.sin(angle)]) + 50
    many = Outlines(
        np.tile(circle, (400, 1)).astype(np.float32), np.arange(401) * 60, np.arange(400, dtype=np.int64)
    )
    drawn = jittered(many, 1.5, np.random.default_rng(0))
    radius = np.hypot(*(drawn.px - 50).T)
    assert (radius - 20).std() == pytest.approx(1.5, rel=0.08)
    assert not crossing(jittered(traced(grid_of()), 2.0, np.random.default_rng(0))).any()


def test_rings_are_picked_joined_and_copied_into_the_background():
    instances = grid_of()
    outlines = traced(instances)
    few = picked(outlines, np.array([3, 0, 3]))
    assert few.row.tolist() == [3, 0, 3]
    assert areas_px(few).tolist() == areas_px(outlines)[[3, 0, 3]].tolist()
    spurious = spurious_of(outlines, instances, 50, np.random.default_rng(0))
    assert (spurious.row == -1).all()
    both = joined(outlines, spurious)
    assert len(both.row) == len(outlines.row) + 50
    assert both.first[-1] == len(both.px)
    height, width = instances.shape
    assert np.array_equal(rasterised(joined(outlines, few), 0, 0, width, height), instances)


def test_shapes_tell_round_from_long_and_dark_from_light():
    instances, grey = np.zeros((60, 60), np.int32), np.full((60, 60), 200.0)
    y, x = np.mgrid[:60, :60]
    instances[np.hypot(y - 15, x - 15) < 7] = 1
    instances[40:44, 10:40] = 2
    instances[np.hypot(y - 15, x - 42) < 14] = 3
    grey[instances == 1] = 60
    area, long, dark = shapes(instances, grey)
    assert area.tolist() == [np.sum(instances == k) for k in (1, 2, 3)]
    assert long == pytest.approx([1, 30 / 4, 1], abs=0.01)
    assert dark[0] > 0.5 > dark[1]
    assert types_by_shape(area * MPP**2, long, dark).tolist() == [0, 1, 2]


def test_a_patch_is_a_share_of_neighbours():
    centres = np.random.default_rng(0).random((200, 2))
    inside = patch_of(centres, 0.25, np.random.default_rng(1))
    assert inside.sum() == 50
    spread = np.linalg.norm(centres[inside] - centres[inside].mean(axis=0), axis=1).mean()
    assert spread < np.linalg.norm(centres - centres.mean(axis=0), axis=1).mean()
    assert not patch_of(centres, 0.0, np.random.default_rng(1)).any()
