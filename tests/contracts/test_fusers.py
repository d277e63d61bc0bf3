"""Every fuser: one finite row per observation, repeatable, inputs untouched, names of roles in any order."""

import numpy as np
import pytest

from triptych.fusers import registry


@pytest.fixture
def views(rng):
    return {"rna": rng.normal(size=(80, 6)), "img": rng.normal(2, 3, size=(80, 5))}


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, views, places, twice, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    unchanged(*views.values(), places.um, places.sample, places.grid)
    found = twice(lambda rng: component.fuse(views, places, rng))
    assert found.ndim == 2
    assert len(found) == 80
    assert np.issubdtype(found.dtype, np.floating)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", list(registry))
def test_order_of_views_does_not_matter(name, small, views, places):
    component, turned = small(registry, name), dict(reversed(views.items()))
    one, other = (component.fuse(v, places, np.random.default_rng(0)) for v in (views, turned))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in registry if name in ("concat", "smooth")])
def test_order_of_rows_does_not_matter(name, small, views, scattered):
    component, order = small(registry, name), np.random.default_rng(2).permutation(80)
    moved = type(scattered)(scattered.um[order], scattered.sample[order])
    one = component.fuse(views, scattered, np.random.default_rng(0))[order]
    other = component.fuse({r: v[order] for r, v in views.items()}, moved, np.random.default_rng(0))
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in registry if name in ("concat", "smooth")])
def test_one_view_is_enough(name, small, views, places, rng):
    assert len(small(registry, name).fuse({"rna": views["rna"]}, places, rng)) == 80
