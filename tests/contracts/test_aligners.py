"""Every aligner: the rows stay, one batch stays as it is, repeatable, inputs untouched.

An aligner of views returns the columns it was given. One that declares ``takes = "counts"`` learns a
space of its own from raw counts, and one batch is then no reason to hand them back.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.aligners import registry
from triptych.core.errors import DataError

OPTIONAL = {"scanorama": "scanorama", "scvi": "scvi"}  # those that need a package of the extra align


def takes_counts(name):
    return getattr(registry.find(name), "takes", "view") == "counts"


@pytest.fixture
def component(name, small):
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name], reason="the extra align is not installed")
    return small(registry, name)


@pytest.fixture
def x(name, rng):
    """A view with a shift, or counts with a factor, between the batches."""
    batch = (np.arange(80) % 2)[:, None]
    if takes_counts(name):
        return sp.csr_matrix(rng.poisson(3.0 + 3.0 * batch, size=(80, 6)).astype(np.int32))
    return rng.normal(size=(80, 6)) + 2.0 * batch


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, component, declares, x, twice, unchanged):
    batch = np.arange(80) % 2
    declares(registry, name, component)
    unchanged(x, batch)
    found = twice(lambda rng: component.align(x, batch, rng))
    assert found.shape == ((80, component.latent) if takes_counts(name) else x.shape)
    assert np.issubdtype(found.dtype, np.floating)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", [name for name in registry if not takes_counts(name)])
def test_one_batch_stays_as_it_is(name, component, x, rng):
    assert np.allclose(component.align(x, np.full(80, 3), rng), x)


@pytest.mark.parametrize("name", list(registry))
def test_names_of_batches_do_not_matter(name, component, x):
    batch = np.arange(80) % 2
    one, other = (component.align(x, b, np.random.default_rng(0)) for b in (batch, batch * 7 + 1))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in registry if not registry.find(name).random])
def test_order_of_rows_does_not_matter(name, component, x, rng):
    batch, order = np.arange(80) % 2, rng.permutation(80)
    one, other = component.align(x, batch, rng)[order], component.align(x[order], batch[order], rng)
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in registry if name != "none"])
def test_missing_codes_are_refused(name, component, x, rng):
    with pytest.raises(DataError, match=f"{name}: some rows have no batch"):
        component.align(x, np.arange(80) % 2 - 1, rng)
