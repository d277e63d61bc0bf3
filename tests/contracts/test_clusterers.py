"""Every clusterer: codes by falling size, repeatable, inputs untouched, errors at the door."""

import numpy as np
import pytest

from triptych.clusterers import registry
from triptych.core.errors import DataError


@pytest.fixture
def x(rng):
    return rng.normal(size=(80, 3)) + 9 * np.eye(3)[np.repeat([2, 0, 1], [40, 25, 15])]


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, x, twice, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    unchanged(x)
    found = twice(lambda rng: component.cluster(x, rng))
    assert found.shape == (80,)
    assert np.issubdtype(found.dtype, np.integer)
    size = np.bincount(found)
    assert (size > 0).all()
    assert (np.diff(size) <= 0).all()


@pytest.mark.parametrize("name", list(registry))
def test_clear_groups_are_never_mixed(name, small, x, rng):
    found, truth = small(registry, name).cluster(x, rng), np.repeat([2, 0, 1], [40, 25, 15])
    assert all(len(np.unique(truth[found == code])) == 1 for code in np.unique(found))


@pytest.mark.parametrize("name", list(registry))
def test_single_precision_is_taken(name, small, x, rng):
    assert len(small(registry, name).cluster(x.astype(np.float32), rng)) == 80


@pytest.mark.parametrize("name", list(registry))
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(name, small, x, rng, wrong):
    x[3, 1] = wrong
    with pytest.raises(DataError, match="not finite"):
        small(registry, name).cluster(x, rng)
