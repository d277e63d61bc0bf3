"""A control must not know where anything is."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import kstest, spearmanr

from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.encoders.places.lookup import Lookup


def grid(side=20, sample=0):
    um = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2) * 100.0
    return Places(um, np.full(len(um), sample))


def encode(places, dim=64, seed=0):
    return Lookup(dim).encode(places, np.random.default_rng(seed))


def test_numbers_are_standard_normal():
    found = encode(grid())
    assert found.shape == (400, 64)
    assert found.dtype == np.float32
    assert kstest(found.ravel(), "norm").pvalue > 0.01


def test_distances_say_nothing_of_distances():
    places = grid()
    apart, found = pdist(places.um), pdist(encode(places))
    assert abs(spearmanr(apart, found).statistic) < 0.02
    assert np.mean(found[apart == 100]) == pytest.approx(np.mean(found), rel=0.02)
    assert np.mean(found) == pytest.approx(np.sqrt(2 * 64), rel=0.02)


def test_columns_say_nothing_of_position():
    places = grid()
    one, x = encode(places), np.column_stack([places.um, np.ones(400)])
    left = one - x @ np.linalg.lstsq(x, one, rcond=None)[0]
    explained = 1 - left.var() / one.var()
    assert explained == pytest.approx(2 / 399, abs=0.005)  # what two columns explain of any noise


def test_alike_parts_of_two_sections_have_nothing_in_common():
    one, other = grid(), grid(sample=1)
    um = np.concatenate([one.um, other.um + 7])  # the same order, elsewhere
    found = encode(Places(um, np.repeat([0, 1], 400)))
    assert abs(np.corrcoef(found[:400].ravel(), found[400:].ravel())[0, 1]) < 0.02


def test_a_section_depends_on_nothing_but_itself_and_the_seed():
    one, other = grid(12), grid(15)
    both = Places(np.concatenate([one.um, other.um]), np.repeat([3, 1], [144, 225]))
    assert np.array_equal(encode(both)[:144], encode(one))
    assert np.array_equal(encode(both)[144:], encode(other))
    assert not np.array_equal(encode(one, seed=1), encode(one))


def test_order_of_rows_does_not_matter(rng):
    places, order = grid(), rng.permutation(400)
    moved = Places(places.um[order], places.sample[order])
    assert np.array_equal(encode(moved), encode(places)[order])


def test_the_very_same_place_has_the_same_row():
    um = np.array([[0.0, 1.0], [5.0, 5.0], [-0.0, 1.0]])
    found = encode(Places(um, np.zeros(3, int)))
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found, encode(Places(um + 0.0, np.zeros(3, int))))
    assert np.signbit(um[2, 0])  # the table was not written to


def test_whole_numbers_are_places_too():
    places = grid(4)
    whole = Places(places.um.astype(np.int64), places.sample)
    assert np.array_equal(encode(whole), encode(places))


def test_no_places():
    assert encode(Places(np.empty((0, 2)), np.empty(0, int))).shape == (0, 64)


def test_numbers_are_pinned():
    found = encode(Places(np.array([[0.0, 0.0], [100.0, 50.0]]), np.zeros(2, int)), dim=2, seed=7)
    np.testing.assert_allclose(found, PINNED, rtol=1e-5)


PINNED = [[1.0920798779, 0.0271521043], [-0.36860075593, 0.49989289045]]  # of revision 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_coordinates_that_are_not_finite_are_refused(bad, rng):
    with pytest.raises(DataError, match="some coordinates are not finite"):
        Lookup().encode(Places(np.array([[0.0, bad]]), np.zeros(1, int)), rng)


@pytest.mark.parametrize("dim", [0, -3])
def test_dim_out_of_range(dim):
    with pytest.raises(ValueError, match=f"dim must be at least 1, got {dim}"):
        Lookup(dim=dim)
