"""Folds against scikit-learn's, what stays together, and what cannot be divided."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from triptych.core.errors import DataError, TriptychWarning
from triptych.core.protocols import Places
from triptych.maths.bootstrap import spatial_blocks
from triptych.maths.folds import (
    block_folds,
    block_test,
    blocks_of,
    by_place,
    random_folds,
    random_test,
    tell_rare,
)


@pytest.fixture
def places(rng):
    um = np.concatenate([rng.uniform(0, 900, (300, 2)), rng.uniform([0, 0], [400, 900], (200, 2))])
    order = rng.permutation(500)
    return Places(um[order], np.repeat([0, 1], [300, 200])[order])


@pytest.fixture
def codes(rng, places):
    """Four classes, two of which depend on the place."""
    left = places.um[:, 0] < 300
    return np.where(rng.random(500) < 0.5, rng.integers(0, 2, 500), np.where(left, 2, 3))


def shares(codes, fold, k):
    """Counts of each class in each fold."""
    return np.array([np.bincount(codes[fold == f], minlength=k) for f in range(int(fold.max()) + 1)])


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_random_folds_are_as_even_as_stratified_folds_can_be(rng, codes, folds):
    found = shares(codes, random_folds(codes, folds, rng), 4)
    assert (np.ptp(found, axis=0) <= 1).all()
    assert np.ptp(found.sum(axis=1)) <= 1
    theirs = np.empty(500, int)
    for number, (_, test) in enumerate(StratifiedKFold(folds, shuffle=True).split(codes, codes)):
        theirs[test] = number
    assert (np.ptp(found, axis=0) <= np.ptp(shares(codes, theirs, 4), axis=0) + 1e-9).all()


def test_folds_follow_the_seed(codes, places):
    blocks = blocks_of(places, 5)
    for draw in (lambda r: random_folds(codes, 5, r), lambda r: block_folds(codes, blocks, 5, r)):
        one, two, other = (draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)


def test_blocks_are_those_of_each_section_and_of_no_other(places):
    blocks = blocks_of(places, 5)
    assert set(np.unique(blocks)) == set(range(blocks.max() + 1))
    assert not set(blocks[places.sample == 0]) & set(blocks[places.sample == 1])
    for section in (0, 1):
        rows = places.sample == section
        alone = spatial_blocks(places.um[rows], 5)
        assert np.array_equal(np.unique(blocks[rows], return_inverse=True)[1], alone)


def test_a_block_lies_in_one_fold_and_folds_are_even(rng, codes, places):
    blocks = blocks_of(places, 5)
    fold = block_folds(codes, blocks, 5, rng)
    assert all(len(np.unique(fold[blocks == block])) == 1 for block in np.unique(blocks))
    found = shares(codes, fold, 4) / np.bincount(codes)
    grouped = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    theirs = np.empty(500, int)
    for number, (_, test) in enumerate(grouped.split(codes, codes, blocks)):
        theirs[test] = number
    other = shares(codes, theirs, 4) / np.bincount(codes)
    assert np.square(found).sum() <= 1.05 * np.square(other).sum()
    assert np.abs(np.bincount(fold) / 500 - 0.2).max() < 0.08


def test_every_fold_gets_a_block_though_classes_do_not_meet(rng):
    codes = blocks = np.repeat(np.arange(4), [50, 2, 2, 2])
    assert sorted(np.unique(block_folds(codes, blocks, 4, rng))) == [0, 1, 2, 3]


def test_order_by_place_ignores_the_order_of_rows(rng, places):
    order = rng.permutation(500)
    moved = Places(places.um[order], places.sample[order])
    assert np.array_equal(order[by_place(moved)], by_place(places))
    assert (np.diff(places.sample[by_place(places)]) >= 0).all()


@pytest.mark.parametrize(("n", "share", "count"), [(10, 0.2, 2), (11, 0.2, 3), (5, 0.01, 1), (5, 0.99, 4)])
def test_a_share_is_tested(rng, n, share, count):
    assert random_test(n, share, rng).sum() == count


def test_whole_blocks_are_tested_and_near_the_share(rng, places):
    blocks = blocks_of(places, 5)
    for _ in range(20):
        test = block_test(blocks, 0.2, rng)
        assert all(len(np.unique(test[blocks == block])) == 1 for block in np.unique(blocks))
        assert abs(test.mean() - 0.2) < 0.06
    assert 0 < block_test(np.repeat([0, 1], [99, 1]), 0.5, rng).sum() < 100


def test_too_few_blocks_are_refused(rng):
    with pytest.raises(
        DataError, match=r"make 2 blocks of neighbours, which cannot be dealt to 5 folds\. Ask"
    ):
        block_folds(np.zeros(4, int), np.array([0, 0, 1, 1]), 5, rng)
    with pytest.raises(DataError, match=r"make one block of neighbours, which cannot be divided"):
        block_test(np.zeros(4, int), 0.2, rng)


def test_rare_classes_are_told_together():
    codes = np.array([0, 0, 0, 1, 1, 2, 2])
    ways = {"random": np.array([0, 1, 2, 0, 1, 0, 0]), "blocks": np.array([0, 1, 2, 0, 1, 2, 1])}
    with pytest.warns(TriptychWarning) as told:
        tell_rare("forest", codes, ("a", "b", "c"), ways)
    assert str(told[0].message) == (
        "forest: folds (random): not every fold holds b. "
        "folds (random): all of c lie in one fold and are never learned there. "
        "folds (blocks): not every fold holds b, c."
    )
    tell_rare("forest", codes[:3], ("a",), {"random": ways["random"][:3]})  # nothing to tell
