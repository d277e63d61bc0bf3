"""Every clusterer: codes by falling size, repeatable, inputs untouched, errors at the door."""

import numpy as np
import pytest

from triptych.clusterers import registry
from triptych.core.errors import DataError
from triptych.core.models import Fit

SEVERAL = [name for name in registry if getattr(registry.find(name), "takes_views", False)]
FITS = [name for name in registry if hasattr(registry.find(name), "fit")]
OPTIONAL = {"multiplex-leiden": "leidenalg"}  # those that need a package of an extra
# What part of the rows of the fit must keep their code when the model is applied to them; elsewhere all.
# The models of communities let neighbours vote, and a community may reach among the neighbours of another.
KEPT = {"leiden": 0.9, "louvain": 0.9, "multiplex-leiden": 0.9}


class OneOfViews:
    """A clusterer of views, or its model, shown a matrix as two views: all of it, and all but a column."""

    def __init__(self, of):
        self.of = of

    @staticmethod
    def views(x):
        return {"rna": x, "view": x[:, :2]}

    def cluster(self, x, rng):
        return self.of.cluster(self.views(x), rng)

    def fit(self, x, rng):
        value, model = self.of.fit(self.views(x), rng)
        return Fit(value, OneOfViews(model))

    def apply(self, x):
        return self.of.apply(self.views(x))

    def save(self, folder):
        self.of.save(folder)

    def restore(self, folder):
        return OneOfViews(self.of.restore(folder))


@pytest.fixture
def small(small, request):
    def build(registry, name):
        if name in OPTIONAL:
            pytest.importorskip(OPTIONAL[name], reason=f"the extra of {name} is not installed")
        found = small(registry, name)
        return OneOfViews(found) if name in SEVERAL else found

    return build


@pytest.fixture
def x(rng):
    return rng.normal(size=(80, 3)) + 9 * np.eye(3)[np.repeat([2, 0, 1], [40, 25, 15])]


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, x, twice, unchanged):
    component = small(registry, name)
    declares(registry, name, getattr(component, "of", component))
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


@pytest.mark.parametrize("name", FITS)
def test_a_fit_gives_what_clustering_gives_and_so_does_its_model(name, small, x, same_bits):
    component = small(registry, name)
    value, model = component.fit(x, np.random.default_rng(3))
    same_bits(value, component.cluster(x, np.random.default_rng(3)))
    found = model.apply(x)
    assert np.issubdtype(found.dtype, np.integer)
    assert np.mean(found == value) >= KEPT.get(name, 1.0)


@pytest.mark.parametrize("name", FITS)
def test_groups_that_overlap_keep_their_codes(name, small, rng):
    x = rng.normal(size=(300, 4))
    value, model = small(registry, name).fit(x, rng)
    assert np.mean(model.apply(x) == value) >= KEPT.get(name, 1.0) - 0.2 * (name in KEPT)


@pytest.mark.parametrize("name", FITS)
def test_rows_are_applied_one_by_one(name, small, x, rng):
    model = small(registry, name).fit(x[:60], rng).model
    assert np.array_equal(model.apply(x[::3]), model.apply(x)[::3])
    assert np.array_equal(model.apply(x[5:6]), model.apply(x)[5:6])


@pytest.mark.parametrize("name", FITS)
def test_other_rows_of_clear_groups_get_the_code_of_their_group(name, small, x, rng):
    value, model = small(registry, name).fit(x, rng)
    moved = model.apply(x + rng.normal(0, 0.01, x.shape))
    assert np.mean(moved == model.apply(x)) >= KEPT.get(name, 1.0)
    assert set(model.apply(5 * x)) <= set(value)


@pytest.mark.parametrize("name", FITS)
def test_a_restored_model_gives_the_same_bits(name, small, x, rng, restored, same_bits):
    component = small(registry, name)
    model = component.fit(x[:60], rng).model
    same_bits(restored(component, model).apply(x), model.apply(x))


@pytest.mark.parametrize("name", FITS)
def test_damaged_models_are_refused(name, small, x, rng, refuses_damage):
    component = small(registry, name)
    model = component.fit(x, rng).model
    refuses_damage(getattr(component, "of", component), getattr(model, "of", model))


@pytest.mark.parametrize("name", [name for name in FITS if name not in SEVERAL])
def test_rows_unlike_those_of_the_fit_are_refused(name, small, x, rng):
    model = small(registry, name).fit(x, rng).model
    with pytest.raises(DataError, match=f"{name}: the matrix has 2 columns; the fit had 3"):
        model.apply(x[:, :2])
    x[3, 1] = np.nan
    with pytest.raises(DataError, match=f"{name}: 1 of 80 rows have values that are not finite"):
        model.apply(x)
