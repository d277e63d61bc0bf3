import numpy as np

from triptych.maths.bootstrap import block_interval, group_interval, spatial_blocks


def test_blocks_are_squares_of_the_section():
    x, y = np.meshgrid(np.arange(10.0), np.arange(5.0))
    blocks = spatial_blocks(np.c_[x.ravel(), y.ravel()], per_side=5)
    assert blocks.max() + 1 == 5 * 3
    for block in range(blocks.max() + 1):
        mine = blocks == block
        assert np.ptp(x.ravel()[mine]) <= 2
        assert np.ptp(y.ravel()[mine]) <= 2


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        effects = rng.normal(size=40)
        blocks = np.repeat(np.arange(40), 5)
        values = effects[blocks]  # neighbours are alike: spots are not exchangeable, blocks are
        low, high = block_interval(lambda rows, v=values: float(v[rows].mean()), blocks, rng)
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_interval_of_groups_against_a_naive_loop():
    values, groups = np.array([1.0, 2.0, 5.0, 9.0]), np.array([0, 0, 1, 2])
    low, high = group_interval(values, groups, np.random.default_rng(1), draws=4000)
    rng = np.random.default_rng(2)
    means = []
    for _ in range(4000):
        chosen = [values[groups == g] for g in rng.integers(3, size=3)]
        means.append(np.concatenate(chosen).mean())
    assert np.allclose([low, high], np.quantile(means, [0.025, 0.975]), atol=0.35)


def test_too_few_groups_give_no_interval():
    assert np.isnan(group_interval(np.ones(4), np.array([0, 0, 1, 1]), np.random.default_rng(0))).all()
    assert np.isnan(block_interval(lambda rows: 1.0, np.zeros(5, dtype=int), np.random.default_rng(0))).all()


def test_one_place_only():
    assert (spatial_blocks(np.ones((4, 2))) == 0).all()
