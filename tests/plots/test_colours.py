"""The palette under three kinds of colour vision, and the matching that chooses colours."""

from itertools import combinations, permutations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from triptych.maths.matching import shared
from triptych.plots.matching import match
from triptych.plots.palette import PALETTE, UNLABELLED, colour, paint

# Machado, Oliveira & Fernandes 2009, severity 1.0: protanopia and deuteranopia in linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
}


def oklab(hexes, vision):
    c = np.array([to_rgb(h) for h in hexes])
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ np.asarray(vision).T
    lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
           [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
           [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.cbrt(linear.clip(0, 1) @ np.array(lms).T) @ np.array(lab).T


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("count", "least"), [(8, 0.07), (20, 0.055)])
def test_every_two_colours_differ_for_every_vision(vision, count, least):
    lab = oklab(PALETTE[:count], VISION[vision])
    assert min(np.linalg.norm(lab[i] - lab[j]) for i, j in combinations(range(count), 2)) > least


def test_colours_show_on_white_and_on_dark_paper():
    lightness = oklab(PALETTE, np.eye(3))[:, 0]
    assert lightness.min() > 0.35
    assert lightness.max() < 0.92


def test_colours_begin_again_and_missing_is_grey():
    assert colour(len(PALETTE)) == colour(0)
    assert colour(-1) == UNLABELLED
    painted = paint(np.array([0, 20, 3, -1]))
    np.testing.assert_array_equal(painted[0], painted[1])
    np.testing.assert_allclose(painted[2][:3], to_rgb(PALETTE[3]))
    assert painted[3][3] < 1


@pytest.mark.parametrize("seed", range(5))
def test_matching_is_the_best_of_all_permutations(seed):
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    table = shared(truth, guess).toarray()
    best = max(sum(table[t, g] for g, t in enumerate(order)) for order in permutations(range(4)))
    assert sum(table[t, g] for g, t in match(truth, guess).items()) == best


def test_matching_undoes_a_renaming():
    rng = np.random.default_rng(2)
    truth, names = rng.integers(0, 5, 200), rng.permutation(5)
    assert match(truth, names[truth]) == {int(new): old for old, new in enumerate(names)}


def test_matching_without_any_overlap_is_empty():
    assert match(np.array([-1, -1]), np.array([0, 1])) == {}
    assert match(np.array([], dtype=int), np.array([], dtype=int)) == {}
