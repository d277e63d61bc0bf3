"""Stitching against a model whose truth is known: each nucleus once, whole, in any order."""

import numpy as np
import pytest
from skimage.measure import label

from triptych.core.nuclei import Found
from triptych.maths.stitching import Stitcher, painted
from triptych.maths.window_grid import Box, Windows

WIDTH, HEIGHT = 310, 230


def scene(rng, radius=9.0, count=260, shape=(HEIGHT, WIDTH)):
    """Random ellipses, the later ones beneath; numbers without gaps, each of one piece."""
    truth, r = np.zeros(shape, np.int32), int(np.ceil(radius))
    offset = np.arange(-r, r + 1)
    for number in range(1, count + 1):
        y0, x0 = int(rng.integers(0, shape[0])), int(rng.integers(0, shape[1]))
        a, b, turn = *rng.uniform(radius / 2, radius, 2), rng.uniform(0, np.pi)
        y, x = np.meshgrid(offset, offset, indexing="ij")
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        inside = (u / a) ** 2 + (v / b) ** 2 <= 1
        inside &= (y + y0 >= 0) & (y + y0 < shape[0]) & (x + x0 >= 0) & (x + x0 < shape[1])
        rows, columns = y[inside] + y0, x[inside] + x0
        free = truth[rows, columns] == 0
        truth[rows[free], columns[free]] = number
    return label(truth, background=0, connectivity=1).astype(np.int32)


def seen(truth, window):
    """What a perfect model finds: the truth, cut at the border of the window."""
    cut = np.zeros((window.read.y1 - window.read.y0, window.read.x1 - window.read.x0), np.int32)
    there = truth[window.read.slices()]
    cut[: there.shape[0], : there.shape[1]] = there
    numbers = np.unique(cut[cut > 0])
    instances = np.searchsorted(numbers, cut, side="right").astype(np.int32)
    instances[cut == 0] = 0
    return Found(instances, numbers[:, None].astype(np.float32))


def stitched(truth, windows, order, find=seen):
    stitcher, parts = Stitcher(windows), []
    all_windows = list(windows)
    for index in order:
        part = stitcher.add(all_windows[index], find(truth, all_windows[index]))
        if part is not None:
            parts.append(part)
    assert not stitcher._waiting
    return parts


def same(found, truth):
    """Whether two pictures of labels hold the same nuclei under other numbers."""
    pairs = np.unique(np.stack([truth.ravel(), found.ravel()]), axis=1)
    return (
        len(pairs[0]) == len(np.unique(truth)) == len(np.unique(found))
        and ((pairs == 0).all(0) == (pairs == 0).any(0)).all()
    )


@pytest.mark.parametrize("seed", range(9))
def test_what_is_stitched_is_the_truth_for_any_side_and_order(seed):
    rng = np.random.default_rng(seed)
    truth = scene(rng)
    windows = Windows.over(
        WIDTH, HEIGHT, side_px=int(rng.integers(50, 330)), halo_px=int(rng.integers(10, 15)),
        multiple_px=int(rng.choice([1, 2, 4])),
    )  # fmt: skip
    order = np.arange(len(windows)) if seed % 3 == 0 else rng.permutation(len(windows))
    parts = stitched(truth, windows, order)
    found = painted(parts, WIDTH, HEIGHT)
    assert same(found.instances, truth)
    numbers = found.instances[found.instances > 0]
    # the row of probabilities is that of the nucleus: the fake model gives its true number
    assert (found.probabilities[numbers - 1, 0] == truth[found.instances > 0]).all()
    assert sum(np.count_nonzero(part.found.instances) for part in parts) == np.count_nonzero(truth)


def noisy(truth, window):
    """A model that errs otherwise in every window: nuclei are merged, lost, and shifted by a pixel."""
    found = seen(truth, window)
    rng = np.random.default_rng([window.row, window.column])
    instances = np.roll(found.instances, rng.integers(-1, 2, 2), (0, 1))
    count = int(found.instances.max(initial=0))
    into = np.arange(count + 1)
    for one in rng.choice(count, count // 4, replace=False) + 1:
        into[one] = rng.integers(0, count + 1)
    into[0] = 0
    numbers = np.unique(into[instances])
    numbers = numbers[numbers > 0]
    instances = np.where(into[instances] > 0, np.searchsorted(numbers, into[instances]) + 1, 0)
    return Found(instances.astype(np.int32), np.zeros((len(numbers), 1), np.float32))


def masks(parts):
    """Every nucleus as its pixels."""
    found = set()
    for x0, y0, part in parts:
        for number in range(1, len(part.probabilities) + 1):
            y, x = np.nonzero(part.instances == number)
            assert len(y)
            found.add(tuple(zip((y + y0).tolist(), (x + x0).tolist(), strict=True)))
    return found


@pytest.mark.parametrize("seed", range(2))
def test_windows_that_disagree_give_the_same_in_any_order_and_no_overlap(seed):
    rng = np.random.default_rng(seed)
    truth = scene(rng)
    windows = Windows.over(WIDTH, HEIGHT, side_px=90, halo_px=20)
    first = masks(stitched(truth, windows, range(len(windows)), noisy))
    for _ in range(2):
        assert masks(stitched(truth, windows, rng.permutation(len(windows)), noisy)) == first
    pixels = np.concatenate([np.array(one) for one in first])
    assert len(np.unique(pixels, axis=0)) == len(pixels)


def test_a_nucleus_wider_than_its_halos_comes_in_parts_that_share_nothing():
    truth = np.zeros((60, 200), np.int32)
    truth[25:35, 10:190] = 1
    windows = Windows.over(200, 60, side_px=70, halo_px=15)
    parts = stitched(truth, windows, range(len(windows)))
    found = painted(parts, 200, 60).instances
    assert found.max() > 1
    assert not found[truth == 0].any()
    assert (found > 0).sum() > 0.7 * truth.sum()  # a part of which another has half is dropped


def test_the_deeper_one_wins_and_the_other_keeps_what_is_left():
    windows = Windows.over(50, 20, side_px=40, halo_px=10)
    left, right = list(windows)
    assert (left.core, right.core) == (Box(0, 0, 20, 20), Box(20, 0, 50, 20))

    def found(window, *boxes):
        instances = np.zeros((20, window.read.x1 - window.read.x0), np.int32)
        for number, box in enumerate(boxes, 1):
            instances[box.slices(window.read.x0)] = number
        return Found(instances, np.full((len(boxes), 1), window.column, np.float32))

    # to the left one nucleus, to the right its right half alone: of that the left one loses the pixels
    stitcher = Stitcher(windows)
    assert stitcher.add(left, found(left, Box(12, 5, 29, 9))) is None
    part = stitcher.add(right, found(right, Box(22, 5, 29, 9)))
    assert sorted(np.bincount(part.found.instances.ravel())[1:]) == [28, 40]
    # and where the left one is deeper, it covers the right one
    stitcher = Stitcher(windows)
    stitcher.add(left, found(left, Box(12, 5, 22, 9)))
    part = stitcher.add(right, found(right, Box(15, 5, 22, 9)))
    assert np.bincount(part.found.instances.ravel()).tolist() == [0, 40]
    assert part.found.probabilities.tolist() == [[0.0]]


def test_only_what_lies_at_open_seams_waits():
    truth = scene(np.random.default_rng(1), count=900, shape=(400, 400))
    windows = Windows.over(400, 400, side_px=120, halo_px=20)
    stitcher, most = Stitcher(windows), 0
    for window in windows:
        stitcher.add(window, seen(truth, window))
        most = max(most, sum(len(one) for one in stitcher._waiting.values()))
    assert most < 0.4 * truth.max()


@pytest.mark.parametrize(("side", "halo", "multiple"), [(64, 8, 1), (96, 9, 16), (500, 30, 32), (40, 0, 8)])
def test_cores_tile_the_region_and_windows_keep_to_the_grid(side, halo, multiple):
    windows = Windows.over(WIDTH, HEIGHT, side_px=side, halo_px=halo, multiple_px=multiple)
    times = np.zeros((HEIGHT, WIDTH), int)
    for window in windows:
        times[window.core.slices()] += 1
        x0, y0, x1, y1 = window.read
        assert not np.any(np.array(window.read) % multiple)
        assert max(x1 - x0, y1 - y0) <= side
        assert x0 in (0,) or window.core.x0 - x0 >= halo
        assert y1 >= HEIGHT or y1 - window.core.y1 >= halo
        rows, columns = windows.seeing(window.core)
        others = [one for one in windows if one.read.meets(window.core)]
        assert {(one.row, one.column) for one in others} == {
            (row, column)
            for row in range(rows.start, rows.stop)
            for column in range(columns.start, columns.stop)
        }
    assert (times == 1).all()


def test_what_makes_no_sense_is_refused():
    with pytest.raises(
        ValueError, match=r"side_px must be at least 80 for a halo of 32 px on either side, got 70"
    ):
        Windows.over(100, 100, side_px=70, halo_px=20, multiple_px=16)
    with pytest.raises(ValueError, match="no windows of a halo of 5 px over 0 × 3 px"):
        Windows.over(0, 3, side_px=70, halo_px=5)
    windows = Windows.over(100, 100, side_px=200, halo_px=20)
    stitcher, (window, *_) = Stitcher(windows), windows
    with pytest.raises(ValueError, match=r"nuclei of shape \(3, 4\) in the window"):
        stitcher.add(window, Found(np.zeros((3, 4), np.int32), np.zeros((0, 1), np.float32)))
    stitcher = Stitcher(windows)
    assert stitcher.add(window, None) is None
    with pytest.raises(ValueError, match="the window in row 0, column 0 came twice"):
        stitcher.add(window, None)


def test_nothing_found_paints_nothing():
    found = painted([], 5, 4)
    assert found.instances.shape == (4, 5)
    assert not found.instances.any()
