"""Overlaps of true and found nuclei, against masks one by one; parts, joins and arrays give the same."""

import numpy as np
import pytest
from anndata import AnnData, read_h5ad
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from triptych.core.errors import DataError
from triptych.maths.centroid_matching import matched_centroids
from triptych.maths.overlaps import (
    OverlapsBuilder,
    as_arrays,
    from_arrays,
    joined,
    of_images,
    of_truth,
    overlaps_of,
    with_classes,
)

CLASSES = ("a", "b", "c")
MPP = 0.25


def labels(rng, shape, numbers=(0, 3, 4, 9, 200)):
    """Blocks of random numbers, so that nuclei touch, have holes and several parts."""
    coarse = rng.choice(numbers, size=(shape[0] // 3 + 1, shape[1] // 3 + 1))
    return np.kron(coarse, np.ones((3, 3), np.int32))[: shape[0], : shape[1]].astype(np.int32)


def image(seed, shape=(23, 31)):
    """A truth, a guess that has to do with it, and where nothing is known."""
    rng = np.random.default_rng(seed)
    truth = labels(rng, shape)
    guess = np.where(rng.uniform(size=shape) < 0.2, labels(rng, shape, (0, 1, 77)), truth)
    ignore = labels(rng, shape, (0, 0, 0, 1)) > 0
    types = [rng.integers(-1, 3, 200) for _ in range(2)]
    return (truth, types[0]), (guess.astype(np.int32), types[1]), ignore


def naive(labelled, ignore):
    """The nuclei that count, one by one."""
    found, (map_, types) = [], labelled
    for number in range(1, map_.max(initial=0) + 1):
        mask = map_ == number
        seen = mask & ~ignore
        if seen.sum() > 0 and (mask & ignore).sum() <= mask.sum() / 2:
            found.append((seen, -1 if types is None else types[number - 1]))
    return found


def some_overlaps(seeds=range(4), **more):
    images = [image(seed) for seed in seeds]
    names = [f"S{seed}" for seed in seeds]
    given = {"classes": CLASSES, "organs": ["colon"] * len(names), "samples": names, "mpp": MPP} | more
    return overlaps_of([i[0] for i in images], [i[1] for i in images], ignore=[i[2] for i in images], **given)


def same(one, other):
    first, second = as_arrays(one), as_arrays(other)
    assert first.keys() == second.keys()
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key], err_msg=key)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("masked", [True, False])
def test_equal_to_masks_one_by_one(seed, masked):
    truth, guess, ignore = image(seed, (7 + seed, 31 - seed))
    ignore = ignore if masked else np.zeros_like(ignore)
    builder = OverlapsBuilder(CLASSES, MPP)
    builder.add(truth, guess, organ="colon", sample="A", ignore=ignore if masked else None)
    found = builder.done()
    sides = [naive(truth, ignore), naive(guess, ignore)]
    for table, side in zip((found.truth, found.guess), sides, strict=True):
        assert table["area"].tolist() == [mask.sum() for mask, _ in side]
        assert table["type"].tolist() == [kind for _, kind in side]
        assert set(table["image"]) <= {0}
        for axis, name in enumerate(("y_um", "x_um")):
            centres = [(np.nonzero(mask)[axis] + 0.5).mean() * MPP for mask, _ in side]
            np.testing.assert_allclose(table[name], centres, rtol=1e-12)
    expected = {(t, g): (a[0] & b[0]).sum() for t, a in enumerate(sides[0]) for g, b in enumerate(sides[1])}
    pairs = zip(found.pairs["truth"], found.pairs["guess"], strict=True)
    got = dict(zip(pairs, found.pairs["area"], strict=True))
    assert got == {pair: area for pair, area in expected.items() if area}


@given(st.integers(0, 10_000), st.sampled_from([(1, 1), (1, 9), (9, 1), (12, 5)]))
def test_sums_of_common_pixels(seed, shape):
    truth, guess, _ = image(seed, shape)
    builder = OverlapsBuilder(CLASSES, MPP)
    builder.add(truth, guess)
    found = builder.done()
    assert found.pairs["area"].sum() == ((truth[0] > 0) & (guess[0] > 0)).sum()
    assert found.truth["area"].sum() == (truth[0] > 0).sum()
    assert found.guess["area"].sum() == (guess[0] > 0).sum()


def test_nothing_anywhere():
    empty = np.zeros((8, 8), np.int32)
    same(
        OverlapsBuilder(CLASSES, MPP).done(),
        overlaps_of([], [], classes=CLASSES, organs=[], samples=[], mpp=MPP),
    )
    found = overlaps_of([(empty, None)], [(empty, None)], classes=(), organs=["x"], samples=["y"], mpp=MPP)
    assert all(len(values) == 0 for values in (found.truth["area"], found.guess["area"], found.pairs["area"]))
    assert found.organs.tolist() == ["x"]
    same(found, from_arrays(as_arrays(found)))


def test_a_nucleus_with_half_of_its_pixels_ignored_counts_and_with_more_does_not():
    map_ = np.zeros((4, 12), np.int32)
    map_[:, :4], map_[:, 6:] = 5, 9
    ignore = np.zeros((4, 12), bool)
    ignore[:, 2:10] = True
    builder = OverlapsBuilder(CLASSES, 1.0)
    builder.add((map_, np.arange(9) % 3), (map_, None), ignore=ignore)
    found = builder.done()
    assert found.truth["area"].tolist() == found.guess["area"].tolist() == found.pairs["area"].tolist() == [8]
    assert found.truth["type"].tolist() == [1]
    assert found.guess["type"].tolist() == [-1]
    assert found.truth["x_um"].tolist() == [1.0]


@pytest.mark.parametrize("rows", [[2, 0], [1], [], [3, 3, 0, 3], [0, 1, 2, 3]])
def test_some_images_are_those_that_would_have_been_added(rows):
    expected = [some_overlaps([row]) for row in rows]
    found = of_images(some_overlaps(), np.array(rows, int))
    if rows:
        same(found, joined(expected))
    else:
        assert len(found.organs) == len(found.pairs["area"]) == 0


def test_images_of_organs_that_the_fit_has_seen_are_marked():
    builder = OverlapsBuilder(CLASSES, MPP)
    for number, seen in enumerate((True, False, True)):
        builder.add(*image(number)[:2], organ="colon", seen=seen)
    found = builder.done()
    assert found.seen.dtype == bool
    assert found.seen.tolist() == [True, False, True]
    assert of_images(found, np.array([1, 0])).seen.tolist() == [False, True]
    assert joined([found, found]).seen.tolist() == [True, False, True] * 2
    assert from_arrays(as_arrays(found)).seen.tolist() == [True, False, True]


def test_types_keep_their_names_when_there_are_more_of_them():
    before = some_overlaps()
    after = with_classes(before, ("x", "c", "a", "b"))
    for name in ("truth", "guess"):
        old, new = (np.array([*one.classes, "?"])[getattr(one, name)["type"]] for one in (before, after))
        assert old.tolist() == new.tolist()
        assert "?" in old
    same(with_classes(after, ("x", *CLASSES)), with_classes(before, ("x", *CLASSES)))


def test_nuclei_in_any_order_give_the_same_images(rng):
    whole = some_overlaps()
    arrays = as_arrays(whole)
    for name in ("truth", "guess"):
        order = rng.permutation(len(arrays[f"{name}.area"]))
        for column in ("image", "area", "type", "x_um", "y_um"):
            arrays[f"{name}.{column}"] = arrays[f"{name}.{column}"][order]
        arrays[f"pairs.{name}"] = np.argsort(order)[arrays[f"pairs.{name}"]]
    mixed = of_images(from_arrays(arrays), np.array([2]))
    ordered = of_images(whole, np.array([2]))
    for name in ("truth", "guess"):
        assert sorted(getattr(mixed, name)["area"]) == sorted(getattr(ordered, name)["area"])

    def told(one):
        columns = one.truth["area"][one.pairs["truth"]], one.guess["area"][one.pairs["guess"]]
        return sorted(zip(*columns, one.pairs["area"], strict=True))

    assert told(mixed) == told(ordered)


def test_joined_is_all_at_once():
    same(joined([some_overlaps([0, 1]), some_overlaps([2]), some_overlaps([3])]), some_overlaps())


def test_the_truth_as_if_it_had_been_found():
    images = [image(seed) for seed in range(4)]
    same(
        of_truth(some_overlaps()),
        overlaps_of(
            [i[0] for i in images], [i[0] for i in images], ignore=[i[2] for i in images], classes=CLASSES,
            organs=["colon"] * 4, samples=["S0", "S1", "S2", "S3"], mpp=MPP,
        ),
    )  # fmt: skip


def test_arrays_survive_a_table(tmp_path):
    table, found = AnnData(np.zeros((1, 1))), some_overlaps(organs=["colon", "breast", "", "kidney"])
    table.uns["overlaps"] = as_arrays(found)
    table.write_h5ad(tmp_path / "t.h5ad")
    back = from_arrays(read_h5ad(tmp_path / "t.h5ad").uns["overlaps"])
    same(back, found)
    assert back.organs.dtype.kind == "U"
    assert back.classes == CLASSES


def test_what_does_not_fit_together_is_refused():
    good, ignore = np.ones((4, 4), np.int32), np.zeros((4, 5), bool)
    builder = OverlapsBuilder(CLASSES, MPP)
    with pytest.raises(DataError) as caught:
        builder.add((good, np.array([3])), (-good[:, :3], np.array([], int)), ignore=ignore)
    for told in (
        "image 0: 4 faults", r"the found labels have shape (4, 3), the true labels (4, 4)",
        "the ignore map has shape (4, 5)", "the found labels hold negative numbers",
        "type 3 of true nuclei has no name; there are 3",
    ):  # fmt: skip
        assert told in str(caught.value)
    with pytest.raises(DataError, match="0 types of found nuclei, with numbers to 1"):
        builder.add((good, None), (good, np.array([], int)))
    with pytest.raises(DataError, match="the true labels are not whole numbers"):
        builder.add((good / 2, None), (good, None))
    with pytest.raises(DataError, match=r"the true labels have shape \(1, 4, 4\); they need \(h, w\)"):
        builder.add((good[None], None), (good[None], None))
    assert len(builder.done().organs) == 0
    with pytest.raises(DataError, match="There are true images: 1, found images: 2, organs of images: 1"):
        overlaps_of([(good, None)], [(good, None)] * 2, classes=(), organs=[""], samples=[""], mpp=1.0)


def test_what_cannot_be_joined_or_read_is_refused():
    with pytest.raises(DataError, match="There are no overlaps to join"):
        joined([])
    with pytest.raises(DataError, match="Overlaps of other classes cannot be joined: a, b, c; x, y, z"):
        joined([some_overlaps([0]), some_overlaps([1], classes=("x", "y", "z"))])
    arrays = as_arrays(some_overlaps())
    with pytest.raises(DataError, match=r"overlaps: there is no pairs\.area"):
        from_arrays({key: values for key, values in arrays.items() if key != "pairs.area"})
    with pytest.raises(DataError) as caught:
        from_arrays(arrays | {"truth.area": arrays["truth.area"][1:], "organs": arrays["organs"][:1]})
    assert "overlaps: 2 faults" in str(caught.value)
    assert "lengths differ (organs: 1, samples: 4, seen: 4)" in str(caught.value)


def matching_by_force(truth, guess, radius):
    """Most pairs, then the least sum of distances, over all matchings of few points."""
    best = (0, 0.0)
    if len(truth) and len(guess):
        rest = matching_by_force(truth[1:], guess, radius)
        best = max(best, rest)
        for k, point in enumerate(guess):
            um = float(np.hypot(*(truth[0] - point)))
            if um <= radius:
                pairs, total = matching_by_force(truth[1:], np.delete(guess, k, axis=0), radius)
                best = max(best, (pairs + 1, total - um))
    return best


def of_centroids(truth, guess, image=None):
    """Overlaps of nothing but centroids."""
    found = as_arrays(some_overlaps([0]))
    for name, points in (("truth", truth), ("guess", guess)):
        zeros = np.zeros(len(points), np.int64)
        found |= {f"{name}.{column}": zeros for column in ("area", "type")}
        found |= {f"{name}.image": zeros if image is None else image}
        found |= {f"{name}.x_um": points[:, 0], f"{name}.y_um": points[:, 1]}
    found |= {f"pairs.{column}": np.empty(0, np.int64) for column in ("truth", "guess", "area")}
    return from_arrays(found)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("radius", [1.0, 3.0, 100.0])
def test_matching_is_the_best_of_all(seed, radius):
    rng = np.random.default_rng(seed)
    truth, guess = rng.uniform(0, 5, (rng.integers(0, 6), 2)), rng.uniform(0, 5, (rng.integers(0, 6), 2))
    if seed % 4 == 0:  # ties, and distances of 0
        truth, guess = np.rint(truth), np.rint(guess)
    t, g = matched_centroids(of_centroids(truth, guess), radius)
    assert len(set(t)) == len(set(g)) == len(t)
    um = np.hypot(*(truth[t] - guess[g]).T)
    assert (um <= radius).all()
    pairs, total = matching_by_force(truth, guess, radius)
    assert len(t) == pairs
    assert um.sum() == pytest.approx(-total)


def test_nuclei_of_different_images_are_never_matched():
    points = np.array([[1.0, 1.0], [1.0, 1.0]])
    found = of_centroids(points, points, np.array([0, 1]))
    assert [rows.tolist() for rows in matched_centroids(found, 50.0)] == [[0, 1], [0, 1]]


@pytest.mark.parametrize("wide", [30, 120, 400])
def test_matching_of_many_groups_is_that_of_a_table_of_all_pairs(rng, wide):
    """From one group of nearly all to hundreds of small ones, some of them solved together."""
    truth, guess = rng.uniform(0, wide, (900, 2)), rng.uniform(0, wide, (800, 2))
    t, g = matched_centroids(of_centroids(truth, guess), 6.0)
    um = np.hypot(*(truth[:, None] - guess[None]).transpose(2, 0, 1))
    rows, columns = linear_sum_assignment(np.where(um <= 6.0, um, 1e5))
    kept = um[rows, columns] <= 6.0
    assert len(set(t)) == len(set(g)) == len(t) == kept.sum()
    assert um[t, g].sum() == pytest.approx(um[rows, columns][kept].sum())


def test_a_crowd_within_the_radius_needs_no_table_of_all_pairs(rng):
    truth = rng.uniform(0, 400, (6000, 2))
    t, _ = matched_centroids(of_centroids(truth, truth + rng.normal(0, 1, truth.shape)), 4.0)
    assert 5900 < len(t) <= 6000
