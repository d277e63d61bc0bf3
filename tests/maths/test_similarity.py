"""What displacements agree upon, against those that were made."""

import numpy as np
import pytest

from triptych.maths.similarity import agreed

LIMITS = {"noise": 0.5, "farthest": 6.0, "most_change": 0.02}


def made(rng, n, *, shift=(0.0, 0.0), change=0.0, wrong=0, noise=0.3):
    """Places and displacements, the first of which are wrong."""
    xy = rng.uniform(0, 4000, (n, 2))
    d = (xy @ [1, 1j] - (2000 + 2000j)) * change
    moved = np.column_stack([d.real, d.imag]) + shift + rng.normal(0, noise, (n, 2))
    moved[:wrong] = rng.uniform(-40, 40, (wrong, 2))
    return xy, moved


@pytest.mark.parametrize("change", [0, 0.006, -0.004, 0.003j, 0.002 - 0.005j])
def test_a_similarity_is_found_although_some_are_wrong(rng, change):
    xy, moved = made(rng, 20, shift=(12, -7), change=change, wrong=7)
    found = agreed(xy, moved, **LIMITS)
    assert found.used[7:].all()
    d = (xy @ [1, 1j] - (2000 + 2000j)) * change
    expected = np.column_stack([d.real, d.imag]) + np.array([12, -7])
    np.testing.assert_allclose(found.at(xy), expected, atol=0.8)
    assert found.scale == pytest.approx(abs(1 + change), abs=3e-4)


def test_least_squares_where_all_are_right(rng):
    xy, moved = made(rng, 30, change=0.004 + 0.003j, noise=0.2)
    found = agreed(xy, moved, **LIMITS)
    z, d = xy @ [1, 1j], moved @ [1, 1j]
    (change, shift), *_ = np.linalg.lstsq(np.column_stack([z, np.ones(30)]), d, rcond=None)
    assert found.used.all()
    assert found.change == pytest.approx(change)
    np.testing.assert_allclose(found.at(xy) @ [1, 1j], change * z + shift)


def test_a_shift_stays_a_shift(rng):
    kept = [agreed(*made(rng, 12, shift=(3, 3), noise=0.5), **LIMITS).change == 0 for _ in range(40)]
    assert np.mean(kept) > 0.8


def test_without_rotation_there_is_only_a_scale(rng):
    found = agreed(*made(rng, 12, change=0.005, noise=0.05), **LIMITS)
    assert found.change.imag == 0


def test_one_or_two_displacements_make_a_shift():
    assert agreed(np.array([[5.0, 5.0]]), np.array([[2.0, 3.0]]), **LIMITS).shift == 2 + 3j
    two = agreed(np.array([[0.0, 0.0], [100.0, 0.0]]), np.array([[2.0, 3.0], [4.0, 3.0]]), **LIMITS)
    assert (two.shift, two.change) == (3 + 3j, 0)


def test_too_large_a_change_is_not_believed(rng):
    xy, moved = made(rng, 12, change=0.05, noise=0.1)
    assert abs(agreed(xy, moved, **LIMITS).change) <= 0.02


def test_places_that_coincide():
    xy = np.ones((4, 2))
    found = agreed(xy, np.tile([1.0, 2.0], (4, 1)), **LIMITS)
    assert found.at(xy[:1]).tolist() == [[1.0, 2.0]]


def test_order_does_not_matter(rng):
    xy, moved = made(rng, 15, shift=(4, 4), change=0.003, wrong=4)
    order = rng.permutation(15)
    one, other = agreed(xy, moved, **LIMITS), agreed(xy[order], moved[order], **LIMITS)
    np.testing.assert_allclose(one.at(xy), other.at(xy))
