"""Every metric: one finite float with a direction, whatever the order of rows and the names of labels.

One that is ``against`` an abundance or an interval is given amounts of five types, in whatever order. One
that is ``against`` nuclei is given the images that count, and what was found in all.
"""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.maths.overlaps import OverlapsBuilder, as_arrays, of_truth
from triptych.metrics import registry

OF_TYPES = [name for name in registry if registry.find(name).against in ("abundance", "interval")]
OF_NUCLEI = [name for name in registry if registry.find(name).against == "nuclei"]
OF_LABELS = [name for name in registry if name not in (*OF_TYPES, *OF_NUCLEI)]


@pytest.fixture
def guess(rng):
    return rng.integers(0, 4, 80)


@pytest.fixture
def pair(name, guess):
    """What a metric is given: both arguments have something to do with each other."""
    against, rng = registry.find(name).against, np.random.default_rng(3)
    if name in OF_NUCLEI:
        return np.arange(6), found_nuclei(rng)
    if name in OF_LABELS:
        return first_argument(registry.find(name), guess), guess
    truth = rng.gamma(0.5, 2.0, (80, 5))
    near = np.abs(truth + rng.normal(0, 0.5, (80, 5)))
    return truth, near if against == "abundance" else np.stack(
        [near - 0.4, near + rng.uniform(0, 1, (80, 5))]
    )


def found_nuclei(rng):
    """Six images of blocks, most of them found, some lost, one made up, some of the wrong class."""
    builder = OverlapsBuilder(("a", "b"), 0.25)
    for _ in range(6):
        grid = np.arange(1, 26).reshape(5, 5) * (rng.uniform(size=(5, 5)) < 0.6)
        truth = np.pad(np.kron(grid, np.ones((6, 6), np.int64)), ((0, 16), (0, 0)))
        guess = np.where(rng.uniform(size=truth.shape) < 0.1, 0, truth) * (truth % 5 > 0)
        guess[38:43, :5] = 30  # made up
        types = rng.integers(0, 2, 30)
        told = np.where(rng.uniform(size=30) < 0.2, 1 - types, types)
        builder.add((truth, types), (guess, told), organ="colon", sample="A")
    return builder.done()


def turned(values, order, axis=0):
    """Rows (or types, axis 1) in another order; ends of an interval come first."""
    return np.take(values, order, axis=axis + values.ndim - 2 if values.ndim == 3 else axis)


def first_argument(component, guess):
    """A truth or a space that has something to do with the guess."""
    rng = np.random.default_rng(3)
    if component.against == "space":
        return rng.normal(size=(80, 4)) + 3 * np.eye(4)[guess]
    return np.where(rng.uniform(size=80) < 0.5, guess, rng.integers(0, 4, 80))


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, pair, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    assert component.against in ("truth", "space", "abundance", "interval", "nuclei")
    assert isinstance(component.greater_is_better, bool)
    unchanged(*(as_arrays(pair[1]).values() if name in OF_NUCLEI else pair))
    found = component.score(*pair)
    assert type(found) is float
    assert np.isfinite(found)
    assert found == component.score(*pair)


@pytest.mark.parametrize("name", OF_NUCLEI)
def test_nuclei(name, small, pair):
    """The order of images does not matter, repeats count, and the truth is best."""
    component, (images, found) = small(registry, name), pair
    assert isinstance(component.of_types, bool)
    score = component.score(images, found)
    assert component.score(images[::-1], found) == pytest.approx(score)
    assert component.score(np.tile(images, 3), found) == pytest.approx(score)
    best = component.score(images, of_truth(found))
    assert best > score if component.greater_is_better else best < score
    with pytest.raises(DataError, match=f"{name}: there is no image"):
        component.score(images[:0], found)


@pytest.mark.parametrize("name", [*OF_LABELS, *OF_TYPES])
def test_order_of_rows_does_not_matter(name, small, pair, rng):
    component, order = small(registry, name), rng.permutation(80)
    moved = (turned(values, order) for values in pair)
    assert component.score(*moved) == pytest.approx(component.score(*pair))


@pytest.mark.parametrize("name", OF_LABELS)
def test_names_of_labels_do_not_matter(name, small, pair):
    component, (given, guess) = small(registry, name), pair
    assert component.score(given, 11 * (3 - guess)) == pytest.approx(component.score(given, guess))


@pytest.mark.parametrize("name", OF_TYPES)
def test_order_of_types_does_not_matter_but_they_belong_together(name, small, pair):
    component, order = small(registry, name), np.array([3, 0, 4, 1, 2])
    truth, guess = pair
    together = component.score(turned(truth, order, axis=1), turned(guess, order, axis=1))
    assert together == pytest.approx(component.score(truth, guess))
    if name != "interval-width":  # which does not look at the truth
        assert abs(component.score(truth, turned(guess, order, axis=1)) - together) > 0.01


@pytest.mark.parametrize("name", OF_LABELS)
def test_direction(name, small, pair, rng):
    component, (given, guess) = small(registry, name), pair
    best = guess if component.against == "space" else given
    better = component.score(given, best) - component.score(given, rng.permutation(best))
    if getattr(component, "mixing", False):  # the guess is a batch, and a space is best when it ignores it
        better = -better
    assert better > 0 if component.greater_is_better else better < 0


@pytest.mark.parametrize("name", OF_TYPES)
def test_the_truth_is_best_and_a_shuffled_guess_is_worse(name, small, pair, rng):
    component, (truth, guess) = small(registry, name), pair
    sign = 1 if component.greater_is_better else -1
    oracle = truth if component.against == "abundance" else np.stack([truth, truth])
    best, middle, worst = (
        sign * component.score(truth, one) for one in (oracle, guess, turned(guess, rng.permutation(80)))
    )
    assert best > middle
    if name == "interval-width":  # shuffling changes no width, which is why it is read beside the coverage
        assert worst == pytest.approx(middle)
    else:
        assert middle > worst


@pytest.mark.parametrize("name", OF_TYPES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_kinds_of_floats_do_not_matter(name, kind, small, pair):
    found = small(registry, name).score(*(values.astype(kind) for values in pair))
    assert type(found) is float
    assert found == pytest.approx(small(registry, name).score(*pair), rel=1e-5)


@pytest.mark.parametrize("name", OF_TYPES)
def test_rows_that_are_missing_or_left_over_are_refused(name, small, pair):
    component, (truth, guess) = small(registry, name), pair
    for bad, other in ((0, 1), (1, 0)):
        spoilt = [truth.copy(), guess.copy()]
        spoilt[bad][..., 7, 2] = np.nan
        with pytest.raises(DataError, match=f"{name}: .*not finite"):
            component.score(*spoilt)
        short = [truth, guess]
        short[other] = turned(short[other], np.arange(79))
        with pytest.raises(DataError, match=f"{name}: .*shape"):
            component.score(*short)
    with pytest.raises(DataError, match=f"{name}: .*there is no observation"):
        component.score(truth[:0], turned(guess, np.arange(0)))
