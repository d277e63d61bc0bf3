"""Every refiner: codes stay among those given, sections never mix, order and place do not matter."""

import numpy as np
import pytest

from triptych.refiners import registry


@pytest.fixture
def labels(rng):
    return rng.integers(0, 4, 80)


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, labels, places, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    unchanged(labels, places.um, places.sample)
    found = component.refine(labels, places)
    assert found.shape == labels.shape
    assert np.issubdtype(found.dtype, np.integer)
    assert set(found) <= set(labels)
    assert np.array_equal(found, component.refine(labels, places))


@pytest.mark.parametrize("name", list(registry))
def test_order_of_rows_does_not_matter(name, small, labels, scattered, rng):
    component, order = small(registry, name), rng.permutation(80)
    moved = type(scattered)(scattered.um[order], scattered.sample[order])
    assert np.array_equal(component.refine(labels, scattered)[order], component.refine(labels[order], moved))


@pytest.mark.parametrize("name", list(registry))
def test_sections_never_mix(name, small, labels, places):
    component, first = small(registry, name), places.sample == 0
    changed = np.where(first, labels, 3 - labels)
    one, other = component.refine(labels, places), component.refine(changed, places)
    assert np.array_equal(one[first], other[first])


@pytest.mark.parametrize("name", list(registry))
def test_agreement_stays(name, small, places):
    assert (small(registry, name).refine(np.full(80, 5), places) == 5).all()


@pytest.mark.parametrize("name", [name for name in registry if not hasattr(registry.find(name), "fit")])
def test_without_a_fit_each_section_is_by_itself(name, small, labels, places):
    component = small(registry, name)
    together = component.refine(labels, places)
    for code in (0, 1):
        rows = np.flatnonzero(places.sample == code)
        alone = type(places)(places.um[rows], np.zeros(len(rows), int), places.grid[rows], places.lattice)
        assert np.array_equal(together[rows], component.refine(labels[rows], alone))
