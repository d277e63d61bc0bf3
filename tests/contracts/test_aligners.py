"""Every aligner: the shape stays, one batch stays as it is, repeatable, inputs untouched."""

import numpy as np
import pytest

from triptych.aligners import registry


@pytest.fixture
def x(rng):
    return rng.normal(size=(80, 6)) + 2.0 * (np.arange(80) % 2)[:, None]


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, x, twice, unchanged):
    component, batch = small(registry, name), np.arange(80) % 2
    declares(registry, name, component)
    unchanged(x, batch)
    found = twice(lambda rng: component.align(x, batch, rng))
    assert found.shape == x.shape
    assert np.issubdtype(found.dtype, np.floating)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", list(registry))
def test_one_batch_stays_as_it_is(name, small, x, rng):
    assert np.allclose(small(registry, name).align(x, np.full(80, 3), rng), x)


@pytest.mark.parametrize("name", list(registry))
def test_names_of_batches_do_not_matter(name, small, x):
    component, batch = small(registry, name), np.arange(80) % 2
    one, other = (component.align(x, b, np.random.default_rng(0)) for b in (batch, batch * 7 + 1))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in registry if not registry.find(name).random])
def test_order_of_rows_does_not_matter(name, small, x, rng):
    component, batch, order = small(registry, name), np.arange(80) % 2, rng.permutation(80)
    one, other = component.align(x, batch, rng)[order], component.align(x[order], batch[order], rng)
    assert np.allclose(one, other, atol=1e-6)
