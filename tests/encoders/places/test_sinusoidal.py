"""Waves against the formula, term by term."""

import math

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.encoders.places.sinusoidal import Sinusoidal


@pytest.fixture
def places(rng):
    return Places(rng.uniform(100, 5000, (20, 2)), np.arange(20) % 2)


def test_the_formula(places, rng):
    found = Sinusoidal(dim=16, base=100, scale_um=50, own_origin=False).encode(places, rng)
    for row, (x, y) in zip(found, places.um, strict=True):
        expected = []
        for p in (x / 50, y / 50):
            for i in range(4):
                expected += [math.sin(p / 100 ** (2 * i / 8)), math.cos(p / 100 ** (2 * i / 8))]
        assert np.allclose(row, expected)


def test_sections_have_their_own_origin(places, rng):
    moved = places.um + np.where(places.sample[:, None] == 1, 777.0, 0.0)
    again = Sinusoidal().encode(Places(moved, places.sample), rng)
    assert np.allclose(again, Sinusoidal().encode(places, rng))
    assert not np.allclose(
        Sinusoidal(own_origin=False).encode(Places(moved, places.sample), rng)[1],
        Sinusoidal(own_origin=False).encode(places, rng)[1],
    )


def test_units_do_not_matter_when_the_scale_follows(places, rng):
    millimetres = Places(places.um / 1000, places.sample)
    found = Sinusoidal(scale_um=0.1).encode(millimetres, rng)
    assert np.allclose(found, Sinusoidal(scale_um=100).encode(places, rng))


def test_near_places_are_alike(rng):
    line = np.stack([np.linspace(0, 300, 30), np.zeros(30)], axis=1)
    found = Sinusoidal().encode(Places(line, np.zeros(30, int)), rng)
    distance = np.linalg.norm(found - found[0], axis=1)
    assert (np.diff(distance) > 0).all()


def test_coordinates_that_are_not_finite_are_refused(rng):
    with pytest.raises(DataError, match="some coordinates are not finite"):
        Sinusoidal().encode(Places(np.full((3, 2), np.nan), np.zeros(3, int)), rng)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dim": 6}, "multiple of 4"),
        ({"dim": 0}, "multiple of 4"),
        ({"base": 1.0}, "base"),
        ({"scale_um": 0.0}, "scale_um"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        Sinusoidal(**params)
