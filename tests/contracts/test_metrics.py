"""Every metric: one finite float with a direction, whatever the order of rows and the names of labels."""

import numpy as np
import pytest

from triptych.metrics import registry


@pytest.fixture
def guess(rng):
    return rng.integers(0, 4, 80)


def first_argument(component, guess):
    """A truth or a space that has something to do with the guess."""
    rng = np.random.default_rng(3)
    if component.against == "space":
        return rng.normal(size=(80, 4)) + 3 * np.eye(4)[guess]
    return np.where(rng.uniform(size=80) < 0.5, guess, rng.integers(0, 4, 80))


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, guess, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    assert component.against in ("truth", "space")
    assert isinstance(component.greater_is_better, bool)
    given = first_argument(component, guess)
    unchanged(given, guess)
    found = component.score(given, guess)
    assert type(found) is float
    assert np.isfinite(found)
    assert found == component.score(given, guess)


@pytest.mark.parametrize("name", list(registry))
def test_order_of_rows_does_not_matter(name, small, guess, rng):
    component, order = small(registry, name), rng.permutation(80)
    given = first_argument(component, guess)
    assert component.score(given[order], guess[order]) == pytest.approx(component.score(given, guess))


@pytest.mark.parametrize("name", list(registry))
def test_names_of_labels_do_not_matter(name, small, guess):
    component = small(registry, name)
    given = first_argument(component, guess)
    assert component.score(given, 11 * (3 - guess)) == pytest.approx(component.score(given, guess))


@pytest.mark.parametrize("name", list(registry))
def test_direction(name, small, guess, rng):
    component = small(registry, name)
    given = first_argument(component, guess)
    best = guess if component.against == "space" else given
    better = component.score(given, best) - component.score(given, rng.permutation(best))
    if getattr(component, "mixing", False):  # the guess is a batch, and a space is best when it ignores it
        better = -better
    assert better > 0 if component.greater_is_better else better < 0
