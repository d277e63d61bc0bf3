"""Every fuser: one finite row per observation, repeatable, inputs untouched, names of roles in any order."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.fusers import registry

FITS = [name for name in registry if hasattr(registry.find(name), "fit")]
BY_ROWS = [name for name in registry if name in ("concat", "smooth", "pca", "select")]  # no order, no windows
OPTIONAL = {"umap": "umap", "select": "pycytominer"}  # those that need a package of an extra


@pytest.fixture(autouse=True)
def installed(request):
    name = request.node.callspec.params["name"]
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name], reason=f"the extra of {name} is not installed")


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


@pytest.mark.parametrize("name", BY_ROWS)
def test_order_of_rows_does_not_matter(name, small, views, scattered):
    component, order = small(registry, name), np.random.default_rng(2).permutation(80)
    moved = type(scattered)(scattered.um[order], scattered.sample[order])
    one = component.fuse(views, scattered, np.random.default_rng(0))[order]
    other = component.fuse({r: v[order] for r, v in views.items()}, moved, np.random.default_rng(0))
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", [*BY_ROWS, "umap"])
def test_one_view_is_enough(name, small, views, places, rng):
    assert len(small(registry, name).fuse({"rna": views["rna"]}, places, rng)) == 80


def section(views, places, code):
    """One section of a study, whose code is then 0."""
    rows = np.flatnonzero(places.sample == code)
    grid = None if places.grid is None else places.grid[rows]
    alone = type(places)(places.um[rows], np.zeros(len(rows), int), grid, places.lattice)
    return rows, {role: view[rows] for role, view in views.items()}, alone


@pytest.mark.parametrize("name", FITS)
def test_a_fit_gives_what_fusing_gives_and_so_does_its_model(name, small, views, places, same_bits):
    component = small(registry, name)
    value, model = component.fit(views, places, np.random.default_rng(3))
    same_bits(value, component.fuse(views, places, np.random.default_rng(3)))
    assert np.allclose(model.apply(views, places), value, rtol=0, atol=1e-6)
    assert np.array_equal(model.apply(dict(reversed(views.items())), places), model.apply(views, places))


@pytest.mark.parametrize("name", FITS)
def test_sections_are_applied_one_by_one(name, small, views, places, rng):
    model = small(registry, name).fit(views, places, rng).model
    whole = model.apply(views, places)
    for code in (0, 1):
        rows, part, alone = section(views, places, code)
        assert np.allclose(model.apply(part, alone), whole[rows], atol=1e-6)


@pytest.mark.parametrize("name", FITS)
def test_a_restored_model_gives_the_same_bits(name, small, views, places, rng, restored, same_bits):
    component, (_, part, alone) = small(registry, name), section(views, places, 0)
    model = component.fit(part, alone, rng).model
    same_bits(restored(component, model).apply(views, places), model.apply(views, places))


@pytest.mark.parametrize("name", FITS)
def test_damaged_models_are_refused(name, small, views, places, rng, refuses_damage):
    component = small(registry, name)
    refuses_damage(component, component.fit(views, places, rng).model)


@pytest.mark.parametrize("name", FITS)
def test_views_other_than_those_of_the_fit_are_refused(name, small, views, places, rng):
    model = small(registry, name).fit(views, places, rng).model
    for given in (views | {"rna": views["rna"][:, :5]}, {"rna": views["rna"]}, views | {"pos": places.um}):
        with pytest.raises(DataError, match=name):
            model.apply(given, places)
