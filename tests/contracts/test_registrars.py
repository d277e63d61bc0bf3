"""Every registrar: a shift for each observation, its regions, and words where outlines must not be used.

Those that look at the picture find a known shift, and refuse what cannot be registered.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.core.nuclei import Outlines, Registration
from triptych.maths.polygons import centroids_px, rasterised
from triptych.pipeline.registering import COLUMNS
from triptych.registrars import regions, registry

MPP, SIDE = 0.25, 700
NAMES = pytest.mark.parametrize("name", list(registry))
LOOKING = [name for name in registry if name != "none"]
# Densities of red, green and blue of haematoxylin and of eosin (Ruifrok and Johnston 2001).
HAEMATOXYLIN, EOSIN = np.array([0.650, 0.704, 0.286]), np.array([0.072, 0.990, 0.105])


@dataclass(frozen=True, eq=False)
class Memory:
    """A picture in memory, with every part of it that was read."""

    pixels: np.ndarray
    read_px: list

    @property
    def shape_px(self):
        return self.pixels.shape[:2]

    def read(self, x0, y0, width, height):
        self.read_px.append((x0, y0, x0 + width, y0 + height))
        return self.pixels[y0 : y0 + height, x0 : x0 + width]


def rings(centres, rng):
    """Nuclei of 5 to 9 µm about some places."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    arms = np.stack([np.cos(turn), np.sin(turn)], axis=1) * rng.uniform(2.5, 4.5, (len(centres), 1, 2)) / MPP
    px = (centres[:, None] + arms).reshape(-1, 2).astype(np.float32)
    return Outlines(px, 20 * np.arange(len(centres) + 1), np.arange(len(centres)))


@pytest.fixture(scope="module")
def section():
    """Outlines where their nuclei are painted, and the picture; only to be read."""
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(*[np.arange(20, SIDE - 20, 44.0)] * 2), axis=-1).reshape(-1, 2)
    centres = grid + rng.uniform(-10, 10, grid.shape)  # more than none are on a grid that matches itself
    outlines = rings(centres[rng.random(len(centres)) < 0.8], rng)
    inside = rasterised(outlines, 0, 0, SIDE, SIDE) > 0
    density = inside[..., None] * rng.normal(0.5, 0.1, (SIDE, SIDE, 1)) * HAEMATOXYLIN + 0.3 * EOSIN
    pixels = np.clip(255 * 10**-density, 0, 255).astype(np.uint8)
    for array in (outlines.px, outlines.first, outlines.row, pixels):
        array.flags.writeable = False
    return outlines, pixels


@pytest.fixture
def component(name, small):
    return small(registry, name)


def moved(outlines, by):
    return Outlines(outlines.px + np.asarray(by, np.float32), outlines.first, outlines.row)


def part(outlines, rows):
    """Some rings, in the order given."""
    pieces = np.split(outlines.px, outlines.first[1:-1])
    chosen = [pieces[row] for row in rows]
    first = np.cumsum([0, *map(len, chosen)])
    px = np.concatenate(chosen) if chosen else np.empty((0, 2), np.float32)
    return Outlines(px, first, np.arange(len(chosen)))


def registered(component, outlines, pixels, mpp=MPP, centres=None):
    centres = centroids_px(outlines) if centres is None else centres
    return component.register(outlines, centres, Memory(pixels, []), mpp)


@NAMES
def test_contract(name, component, declares, section):
    declares(registry, name, component)
    assert not component.random  # nothing is passed in to draw from
    outlines, pixels = section
    centres = centroids_px(outlines)
    centres.flags.writeable = False
    picture = Memory(pixels, [])
    found, again = (component.register(outlines, centres, picture, MPP) for _ in range(2))
    assert type(found) is Registration
    assert found.shift_px.shape == centres.shape
    assert np.isfinite(found.shift_px).all()
    assert isinstance(found.score, float)
    assert found.refused == ""
    assert tuple(found.regions.columns) == COLUMNS
    assert found.regions["used"].dtype == bool
    assert found.regions.drop(columns="used").dtypes.map(pd.api.types.is_numeric_dtype).all()
    assert found.shift_px.tobytes() == again.shift_px.tobytes()
    assert repr(found.score) == repr(again.score)
    pd.testing.assert_frame_equal(found.regions, again.regions, check_exact=True)
    inside = np.array([(0, 0, SIDE, SIDE)])
    read = np.array(picture.read_px).reshape(-1, 4)
    assert (read[:, :2] >= inside[:, :2]).all()
    assert (read[:, 2:] <= inside[:, 2:]).all()


def test_the_pipeline_and_the_room_have_the_same_columns():
    assert regions.COLUMNS == COLUMNS


@NAMES
@pytest.mark.parametrize("by", [(0.0, 0.0), (13.25, -8.5), (-26.0, 4.75)])
def test_a_known_shift_comes_back(name, component, section, by):
    outlines, pixels = section
    found = registered(component, moved(outlines, by), pixels)
    assert not found.refused
    if name == "none":
        assert not found.shift_px.any()
        assert len(found.regions) == 0
        assert np.isnan(found.score)
        return
    assert np.abs(found.shift_px + by).max() < 0.5
    assert found.regions["used"].any()
    assert (found.regions["nuclei"] > 0).all()
    used = found.regions[found.regions["used"]]
    assert np.abs(used[["dx_px", "dy_px"]].to_numpy() + by).max() < 2
    assert (used["score"] >= used["score_before"] - 1).all()


@NAMES
def test_order_of_outlines_and_of_observations_does_not_matter(name, component, section):
    outlines, pixels = section
    given = moved(outlines, (9.0, 5.0))
    centres, order = centroids_px(given), np.random.default_rng(3).permutation(len(given.row))
    whole = registered(component, given, pixels, centres=centres)
    found = registered(component, part(given, order), pixels, centres=centres[order])
    assert np.allclose(found.shift_px, whole.shift_px[order], atol=1e-6)
    pd.testing.assert_frame_equal(found.regions, whole.regions, rtol=1e-6)


@NAMES
def test_observations_need_not_be_as_many_as_outlines(name, component, section):
    outlines, pixels = section
    one = registered(component, outlines, pixels, centres=np.array([[50.0, 60.0]]))
    assert one.shift_px.shape == (1, 2)
    assert registered(component, outlines, pixels, centres=np.empty((0, 2))).shift_px.shape == (0, 2)


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize(
    "what", ["no outlines", "few outlines", "glass", "a black picture", "others", "beside"]
)
def test_what_cannot_be_registered_is_refused_with_words_and_nothing_is_moved(name, component, section, what):
    outlines, pixels = section
    rng = np.random.default_rng(8)
    given = {
        "no outlines": part(outlines, []),
        "few outlines": part(outlines, range(3)),
        "others": rings(rng.uniform(20, SIDE - 20, (len(outlines.row), 2)), rng),
        "beside": moved(outlines, (10 * SIDE, 0)),
    }.get(what, outlines)
    shade = {"glass": 255, "a black picture": 0}.get(what)
    found = registered(component, given, pixels if shade is None else np.full_like(pixels, shade))
    assert len(found.refused) > 40
    assert found.refused[-1] in ".?"
    assert "nan" not in found.refused
    assert found.shift_px.shape == (len(given.row), 2)
    assert not found.shift_px.any()
    assert tuple(found.regions.columns) == COLUMNS


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("mpp", [np.nan, 0.0, -0.25])
def test_without_a_scale_it_is_refused(name, component, section, mpp):
    with pytest.raises(DataError, match=f"{name}: the section has no scale"):
        registered(component, *section, mpp=mpp)


@NAMES
def test_numbers_that_are_not_finite_are_refused(name, component, section):
    outlines, pixels = section
    px = outlines.px.copy()
    px[3, 1] = np.nan
    with pytest.raises(DataError, match=f"{name}: 1 vertices of the outlines are not finite"):
        registered(component, Outlines(px, outlines.first, outlines.row), pixels, centres=np.zeros((2, 2)))
    with pytest.raises(DataError, match=f"{name}: 1 of 2 centres are not finite"):
        registered(component, outlines, pixels, centres=np.array([[0, 0], [np.inf, 1]]))


@NAMES
def test_numbers_out_of_range_are_refused_by_name(name, component, refuses_nonsense):
    assert refuses_nonsense(registry, component, name) or name == "none"
