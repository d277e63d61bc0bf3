"""A painted section: nuclei of haematoxylin on eosin, and their outlines."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from triptych.core.nuclei import Outlines
from triptych.maths.polygons import rasterised
from triptych.registrars.regions import STAINS
from triptych.tiles.slide import Slide, array_slide

MPP = 0.25
SIDE = 1000


def ellipses(centres, rng, vertices=24):
    """Outlines of nuclei of 5 to 9 µm about some places."""
    turn = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radii = rng.uniform(2.5, 4.5, (len(centres), 2)) / MPP
    arms = np.stack([np.cos(turn), np.sin(turn)], axis=1)[None] * radii[:, None]
    px = (np.asarray(centres)[:, None] + arms).reshape(-1, 2).astype(np.float32)
    return Outlines(px, vertices * np.arange(len(centres) + 1), np.arange(len(centres)))


def painted(outlines, side, rng):
    """A picture in which just these nuclei are stained."""
    inside = rasterised(outlines, 0, 0, side, side) > 0
    haematoxylin = gaussian_filter(inside.astype(float), 1.5) * rng.normal(0.5, 0.1, inside.shape)
    eosin = 0.3 + 0.1 * gaussian_filter(rng.normal(size=inside.shape), 10) * 30
    density = haematoxylin[..., None] * STAINS[0] + eosin[..., None].clip(0) * STAINS[1]
    return np.clip(255 * 10**-density, 0, 255).astype(np.uint8)


def scattered(side, nuclei, rng, apart=32):
    """Places at random, but no two too near: on a grid, every displacement by its pitch would match."""
    kept = np.empty((0, 2))
    while len(kept) < nuclei:
        place = rng.uniform(0, side, (1, 2))
        if (np.square(kept - place).sum(axis=1) > apart**2).all():
            kept = np.concatenate([kept, place])
    return kept


@pytest.fixture(scope="session")
def section():
    """400 nuclei, where they truly are, and the picture; only to be read."""
    rng = np.random.default_rng(0)
    centres = scattered(SIDE, 400, rng)
    outlines = ellipses(centres, rng)
    pixels = painted(outlines, SIDE, rng)
    return SimpleNamespace(outlines=outlines, centres=centres, pixels=pixels, slide=array_slide(pixels))


@pytest.fixture
def watched(section):
    """The picture, and every region that is read of it."""
    read = []

    def region(x0, y0, width, height):
        read.append((x0, y0, width, height))
        return section.pixels[y0 : y0 + height, x0 : x0 + width]

    return SimpleNamespace(slide=Slide((SIDE, SIDE), region), read=read)
