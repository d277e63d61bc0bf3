"""Scores of nuclei against double loops over masks, and what tells one way of averaging from another."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from triptych.core.errors import DataError, RecipeError
from triptych.maths.overlaps import overlaps_of
from triptych.metrics import registry

CLASSES = ("neoplastic", "inflammatory", "connective")
MPP, RADIUS_UM = 0.25, 3.0
NAMES = [name for name in registry if registry.find(name).against == "nuclei"]


def discs(rng, count, moved=0.0, seen=None):
    """Discs that may touch or cover each other, with random numbers that have gaps."""
    map_ = np.zeros((60, 70), np.int32)
    y, x = np.mgrid[:60, :70]
    seen = rng.uniform([0, 0, 3], [60, 70, 9], (count, 3)) if seen is None else seen
    numbers = rng.choice(np.arange(1, 300), len(seen), replace=False)
    for number, (cy, cx, radius) in zip(numbers, seen, strict=True):
        near = rng.normal(0, moved, 3) if moved else np.zeros(3)
        map_[(y - cy - near[0]) ** 2 + (x - cx - near[1]) ** 2 <= (radius + near[2] / 2) ** 2] = number
    return map_, seen


def image(seed):
    """Some that are missed, some made up, some moved by much, some of unknown type."""
    rng = np.random.default_rng(seed)
    count = 0 if seed % 7 == 3 else rng.integers(1, 14)
    truth, seen = discs(rng, count)
    kept = seen[rng.uniform(size=len(seen)) < 0.85]
    more = rng.uniform([0, 0, 3], [60, 70, 8], (rng.integers(0, 4), 3))
    found = np.zeros((0, 3)) if seed % 7 == 5 else np.concatenate([kept, more])
    guess, _ = discs(rng, 0, rng.choice([0.5, 2.0]), found)
    kind = rng.integers(-1, 2 + seed % 2, 300)  # the third class is in every other truth
    told = np.where(rng.uniform(size=300) < 0.6, by_place(truth, guess, kind), rng.integers(0, 3, 300))
    ignore = np.zeros(truth.shape, bool)
    ignore[:, : 10 * (seed % 3)] = True
    return (truth, kind), (guess, told), ignore


def by_place(truth, guess, kind):
    """Of each found number the type of the truth below its first pixel, so that types are often right."""
    told = np.zeros(300, int)
    for number in np.unique(guess[guess > 0]):
        below = truth[guess == number]
        told[number - 1] = max(kind[below.max() - 1], 0) if below.max() else 0
    return told


def overlaps(images):
    parts = list(zip(*images, strict=True))
    names = [f"S{i}" for i in range(len(images))]
    return overlaps_of(
        parts[0], parts[1], ignore=parts[2], classes=CLASSES, organs=["colon"] * len(names), samples=names,
        mpp=MPP,
    )  # fmt: skip


def score(name, images, **params):
    return registry.make(name, params).score(np.arange(len(images)), overlaps(images))


def nuclei(labelled, ignore):
    """Masks and types of the nuclei that count, one by one."""
    found = []
    for number in range(1, labelled[0].max() + 1):
        mask = labelled[0] == number
        if mask.any() and (mask & ignore).sum() <= mask.sum() / 2:
            found.append((mask & ~ignore, int(labelled[1][number - 1])))
    return found


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def ratio(above, below):
    return above / below if below else None


def naive_dice(truth, guess):
    one, other = (np.any([m for m, _ in side], axis=0) if side else np.zeros(1) for side in (truth, guess))
    return ratio(2 * np.logical_and(one, other).sum(), one.sum() + other.sum())


def naive_aji(truth, guess):
    above, below, used = 0, 0, set()
    for mask, _ in truth:
        best, chosen = None, None
        for k, (other, _) in enumerate(guess):
            if (common := (mask & other).sum()) > 0:
                y, x = (axis.mean() for axis in np.nonzero(other))
                rank = (iou(mask, other), common, -y, -x)
                if best is None or rank > best:
                    best, chosen = rank, k
        if chosen is None:
            below += mask.sum()
        else:
            used.add(chosen)
            above += (mask & guess[chosen][0]).sum()
            below += (mask | guess[chosen][0]).sum()
    below += sum(mask.sum() for k, (mask, _) in enumerate(guess) if k not in used)
    return ratio(above, below)


def naive_pq(truth, guess):
    """Sum of IoU, TP, FP, FN."""
    quality, hit, used = 0.0, 0, set()
    for mask, _ in truth:
        for k, (other, _) in enumerate(guess):
            if iou(mask, other) > 0.5:
                assert k not in used
                used.add(k)
                quality, hit = quality + iou(mask, other), hit + 1
    return np.array([quality, hit, len(guess) - hit, len(truth) - hit], float)


def quality(parts):
    return ratio(parts[0], parts[1] + parts[2] / 2 + parts[3] / 2)


def silent(truth):
    """Whether there are nuclei but nobody knows the type of any."""
    return bool(truth) and all(kind < 0 for _, kind in truth)


def naive_pq_by_class(truth, guess):
    """The same for each class, without what lies on true nuclei of unknown class."""
    if silent(truth):
        return np.zeros((3, 4))
    unknown = [mask for mask, kind in truth if kind < 0]
    guess = [one for one in guess if not any(iou(one[0], mask) > 0.5 for mask in unknown)]
    return np.array(
        [naive_pq(*([n for n in side if n[1] == c] for side in (truth, guess))) for c in range(3)]
    )


def naive_pairs(truth, guess):
    """Matched centroids, with a table of all pairs; far ones are dearer than all near ones together."""
    if not truth or not guess:
        return []
    centres = [
        np.array([[axis.mean() for axis in np.nonzero(m)] for m, _ in side]) for side in (truth, guess)
    ]
    um = MPP * np.hypot(*(centres[0][:, None] - centres[1][None]).transpose(2, 0, 1))
    rows, columns = linear_sum_assignment(np.where(um <= RADIUS_UM, um, 1e4))
    return [(t, g) for t, g in zip(rows, columns, strict=True) if um[t, g] <= RADIUS_UM]


def naive_detection(truth, guess):
    hit = len(naive_pairs(truth, guess))
    return np.array([hit, len(guess) - hit, len(truth) - hit])


def naive_types(truth, guess):
    """Of each class: pairs right, wrongly so called, wrongly not so called, neither; alone found and true."""
    pairs = naive_pairs(truth, guess)
    parts = np.zeros((3, 6))
    if silent(truth):
        return parts
    for c, (t, g) in itertools.product(range(3), pairs):
        if truth[t][1] >= 0:
            actual, told = truth[t][1] == c, guess[g][1] == c
            parts[c, {(1, 1): 0, (0, 1): 1, (1, 0): 2, (0, 0): 3}[actual, told]] += 1
    for c in range(3):
        paired = {g for _, g in pairs}, {t for t, _ in pairs}
        parts[c, 4] = sum(kind == c for k, (_, kind) in enumerate(guess) if k not in paired[0])
        parts[c, 5] = sum(kind == c for k, (_, kind) in enumerate(truth) if k not in paired[1])
    return parts


def plain_f1(p):
    return ratio(2 * p[0], 2 * p[0] + p[1] + p[2] + p[4] + p[5])


def hovernet_f1(p):
    if not p[[0, 1, 2, 4, 5]].sum():
        return None
    right = 2 * (p[0] + p[3])
    return right / (right + 2 * p[1] + 2 * p[2] + p[4] + p[5])


def pooled(per_image, both):
    return sum(per_image(*pair) for pair in both)


def naive_mpq(both):
    def of_image(truth, guess):
        here = {kind for _, kind in truth if kind >= 0}
        values = [quality(p) for c, p in enumerate(naive_pq_by_class(truth, guess)) if c in here]
        return mean(values) if values else None

    return mean([of_image(*pair) for pair in both])


ORACLES = {
    "dice": lambda both: mean([naive_dice(*pair) for pair in both]),
    "aji": lambda both: mean([naive_aji(*pair) for pair in both]),
    "pq": lambda both: mean([quality(naive_pq(*pair)) for pair in both]),
    "pq-pooled": lambda both: quality(pooled(naive_pq, both)),
    "mpq": naive_mpq,
    "mpq-pooled": lambda both: mean([quality(p) for p in pooled(naive_pq_by_class, both)]),
    "detection-precision": lambda both: (lambda p: ratio(p[0], p[0] + p[1]))(pooled(naive_detection, both)),
    "detection-recall": lambda both: (lambda p: ratio(p[0], p[0] + p[2]))(pooled(naive_detection, both)),
    "detection-f1": lambda both: (lambda p: ratio(2 * p[0], 2 * p[0] + p[1] + p[2]))(
        pooled(naive_detection, both)
    ),
    "type-f1": lambda both: mean([plain_f1(p) for p in pooled(naive_types, both)]),
    "count-error": lambda both: mean([ratio(abs(len(g) - len(t)), len(t)) for t, g in both]),
}


@pytest.fixture(scope="module")
def batches():
    """Images in batches of four, with their nuclei one by one."""
    images = [image(seed) for seed in range(28)]
    both = [(nuclei(t, ignore), nuclei(g, ignore)) for t, g, ignore in images]
    return [(images[k : k + 4], both[k : k + 4]) for k in range(0, 28, 4)]


def test_every_metric_of_nuclei_has_double_loops():
    assert set(ORACLES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_double_loops(name, batches):
    for images, both in batches:
        found = score(name, images)
        assert type(found) is float
        assert found == pytest.approx(ORACLES[name](both), abs=1e-12)
        assert 0 <= found < 1 or name == "count-error"


def test_f1_as_hovernet_defines_it(batches):
    for images, both in batches:
        expected = mean([hovernet_f1(p) for p in pooled(naive_types, both)])
        assert score("type-f1", images, definition="hovernet") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_found_as_it_is_scores_best(name, batches):
    for images, _ in batches:
        best = score(name, [(truth, truth, ignore) for truth, _, ignore in images])
        assert best == (1.0 if name != "count-error" else 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_nuclei_and_order_of_images_do_not_matter(name, batches, rng):
    def renumbered(labelled):
        new = rng.permutation(np.arange(1, 300))
        types = np.full(300, -1)
        types[new - 1] = labelled[1][:299]
        return np.concatenate([[0], new])[labelled[0]], types

    for images, _ in batches:
        moved = [(renumbered(t), renumbered(g), ignore) for t, g, ignore in reversed(images)]
        assert score(name, moved) == pytest.approx(score(name, images), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_some_images_score_as_they_alone_do_and_repeats_count(name, batches):
    images, _ = batches[1]
    component = registry.make(name)
    for rows in ([2], [3, 0], [1, 1, 1, 2]):
        found = component.score(np.array(rows), overlaps(images))
        assert found == pytest.approx(score(name, [images[row] for row in rows]), abs=1e-12, nan_ok=True)


def square(*boxes, types=None):
    """Nuclei as boxes (top, left, bottom, right) on 40 × 40 px."""
    map_ = np.zeros((40, 40), np.int32)
    for number, (top, left, bottom, right) in enumerate(boxes, 1):
        map_[top:bottom, left:right] = number
    return map_, np.array(types or [0] * len(boxes))


NONE, UNMASKED = square(), np.zeros((40, 40), bool)
BOX, OTHER = (2, 2, 12, 12), (20, 20, 30, 30)


def test_pooled_quality_by_class_counts_nuclei_found_in_images_without_the_class():
    """The second image has no inflammatory nucleus, but three were found there: only pooling sees it."""
    both = square(BOX, OTHER, types=[0, 1])
    alone = square(BOX, types=[0])
    made_up = square(BOX, OTHER, (20, 2, 28, 10), (32, 32, 38, 38), types=[0, 1, 1, 1])
    clean, spoilt = [(both, both, UNMASKED), (alone, alone, UNMASKED)], [
        (both, both, UNMASKED), (alone, made_up, UNMASKED)
    ]  # fmt: skip
    assert score("mpq", clean) == score("mpq", spoilt) == score("mpq-pooled", clean) == 1.0
    assert score("mpq-pooled", spoilt) == pytest.approx((1 + 1 / (1 + 3 / 2)) / 2)
    assert score("type-f1", spoilt) == pytest.approx((1 + 2 / (2 + 3)) / 2)
    assert score("pq", spoilt) == pytest.approx((1 + 1 / (1 + 3 / 2)) / 2)
    assert score("pq-pooled", spoilt) == pytest.approx(3 / (3 + 3 / 2))


def test_an_iou_of_a_half_is_no_match():
    images = [(square((0, 0, 10, 10)), square((0, 0, 10, 20)), UNMASKED)]
    assert score("pq", images) == 0.0
    images = [(square((0, 0, 10, 10)), square((0, 0, 10, 19)), UNMASKED)]
    assert score("pq", images) == pytest.approx(10 / 19)


@pytest.mark.parametrize("name", NAMES)
def test_where_there_is_nothing_to_judge_the_score_is_nan(name):
    assert math.isnan(score(name, [(NONE, NONE, UNMASKED)]))


def test_nothing_found_and_nothing_there():
    full = square(BOX)
    missed, made_up = [(full, NONE, UNMASKED)], [(NONE, full, UNMASKED)]
    for name in ("dice", "aji", "pq", "pq-pooled", "detection-f1"):
        assert score(name, missed) == score(name, made_up) == 0.0
    for name in ("mpq", "mpq-pooled", "type-f1", "detection-recall"):
        assert score(name, missed) == 0.0
        assert math.isnan(score(name, made_up))
    assert math.isnan(score("detection-precision", missed))
    assert score("detection-precision", made_up) == 0.0
    assert score("count-error", missed) == 1.0
    assert math.isnan(score("count-error", made_up))


@pytest.mark.parametrize("name", [name for name in NAMES if registry.find(name).of_types])
def test_a_model_that_tells_no_types_is_not_judged_by_them(name):
    true, untold = square(BOX, OTHER, types=[0, 1]), square(BOX, OTHER, types=[-1, -1])
    assert math.isnan(score(name, [(true, untold, UNMASKED)]))
    assert math.isnan(score(name, [(untold, true, UNMASKED)]))
    half = square(BOX, OTHER, types=[0, -1])
    assert score(name, [(half, true, UNMASKED)]) == 1.0  # what is found on the unknown one counts for nothing
    assert score(name, [(true, half, UNMASKED)]) == 0.5


@pytest.mark.parametrize("name", [name for name in NAMES if registry.find(name).of_types])
def test_images_without_known_types_do_not_count_against_types(name):
    """Nuclei made up there are no worse than others, of which nobody could say that they are right."""
    typed, untyped = square(BOX, types=[0]), square(BOX, types=[-1])
    made_up = square(BOX, OTHER, types=[0, 0])
    assert score(name, [(typed, typed, UNMASKED), (untyped, made_up, UNMASKED)]) == 1.0


def test_only_some_metrics_need_types():
    assert {name for name in NAMES if registry.find(name).of_types} == {"mpq", "mpq-pooled", "type-f1"}


@pytest.mark.parametrize("name", ["detection-precision", "detection-recall", "detection-f1", "type-f1"])
def test_the_radius_is_in_micrometres(name):
    images = [(square((10, 10, 20, 20)), square((10, 22, 20, 32)), UNMASKED)]  # 12 px are 3 µm
    assert score(name, images) == 1.0
    assert score(name, images, radius_um=2.99) == 0.0
    for bad in (0.0, -1.0, float("inf")):
        with pytest.raises(RecipeError, match="radius_um must be above 0"):
            registry.make(name, {"radius_um": bad})


@pytest.mark.parametrize("name", NAMES)
def test_images_that_are_not_there_are_refused(name):
    component, given = registry.make(name), overlaps([(square(BOX), square(BOX), UNMASKED)])
    with pytest.raises(DataError, match=f"{name}: there is no image of known nuclei"):
        component.score(np.array([], int), given)
    with pytest.raises(DataError, match=f"{name}: 2 images do not exist; there are 1"):
        component.score(np.array([-1, 0, 1]), given)
