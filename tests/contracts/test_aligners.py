"""Every aligner: the rows stay, one batch stays as it is, repeatable, inputs untouched.

An aligner of views returns the columns it was given. One that declares ``takes = "counts"`` learns a
space of its own from raw counts, and one batch is then no reason to hand them back. Every aligner also
fits a model, which maps batches that the fit has not seen, each by itself, and survives being saved.
"""

import json
from dataclasses import fields

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.aligners import registry
from triptych.core.errors import DataError, WeightsError

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


@pytest.fixture
def new(name):
    """Rows of two batches that the fit has not seen, of 40 and 50, mixed."""
    rng = np.random.default_rng(3)
    batch = rng.permutation(np.repeat([0, 1], [40, 50]))
    if takes_counts(name):
        return sp.csr_matrix(rng.poisson(2.0 + batch[:, None], size=(90, 6)).astype(np.int32) + 1), batch
    return rng.normal(size=(90, 6)) + 1.0 - 0.5 * batch[:, None], batch


@pytest.fixture
def model(component, x):
    return component.fit(x, np.arange(80) % 2, np.random.default_rng(0)).model


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


@pytest.mark.parametrize("name", list(registry))
def test_aligning_is_the_value_of_fitting(name, component, x):
    for batch in (np.arange(80) % 2, np.zeros(80, int)):
        one = component.align(x, batch, np.random.default_rng(0))
        other = component.fit(x, batch, np.random.default_rng(0)).value
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", list(registry))
def test_a_saved_model_maps_with_the_same_bits(name, component, model, new, tmp_path, unchanged):
    model.save(tmp_path / "model")
    restored = component.restore(tmp_path / "model")
    unchanged(*new)
    one, other = model.apply(*new), restored.apply(*new)
    assert one.shape == ((90, component.latent) if takes_counts(name) else (90, 6))
    assert np.issubdtype(one.dtype, np.floating)
    assert np.isfinite(one).all()
    assert one.dtype == other.dtype
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", list(registry))
def test_each_new_batch_is_mapped_by_itself(name, model, new):
    x, batch = new
    together = model.apply(x, batch)
    for code in (0, 1):
        rows = np.flatnonzero(batch == code)
        assert np.array_equal(model.apply(x[rows], np.zeros(len(rows), int)), together[rows])


@pytest.mark.parametrize("name", list(registry))
def test_order_of_new_rows_does_not_matter(name, model, new, rng):
    x, batch = new
    order = rng.permutation(90)
    assert np.allclose(model.apply(x[order], batch[order]), model.apply(x, batch)[order], atol=1e-6)


@pytest.mark.parametrize("name", list(registry))
def test_a_model_of_one_batch_maps_too(name, component, x, new):
    model = component.fit(x, np.zeros(80, int), np.random.default_rng(0)).model
    assert np.isfinite(model.apply(*new)).all()


@pytest.mark.parametrize("name", list(registry))
def test_mapping_does_not_change_the_model(name, model, new, unchanged):
    arrays = [getattr(model, field.name) for field in fields(model)]
    arrays += [part for array in arrays if isinstance(array, dict) for part in array.values()]
    unchanged(*(array for array in arrays if isinstance(array, np.ndarray)))
    assert np.array_equal(model.apply(*new), model.apply(*new))


@pytest.mark.parametrize("name", list(registry))
def test_other_columns_are_refused(name, model, new):
    x, batch = new
    with pytest.raises(DataError, match=f"{name}: the fit had 6 columns and this has 5"):
        model.apply(x[:, :5], batch)


@pytest.mark.parametrize("name", [name for name in registry if name != "none"])
def test_new_rows_are_checked(name, model, new):
    x, batch = new
    bad = x.copy() if takes_counts(name) else x.astype(float)
    bad[0, 0] = -1 if takes_counts(name) else np.nan
    with pytest.raises(DataError) as caught:
        model.apply(bad, batch - 1)
    for words in (
        f"{name}: 2 faults",
        "some rows have no batch",
        "negative" if takes_counts(name) else "not finite",
    ):
        assert words in str(caught.value)
    with pytest.raises(DataError, match="90 rows but 89 batch codes"):
        model.apply(x, batch[1:])


@pytest.mark.parametrize("damage", ["absent", "cut", "garbled", "of another", "incomplete"])
@pytest.mark.parametrize("name", list(registry))
def test_damaged_models_are_refused(name, damage, component, model, tmp_path):
    model.save(tmp_path)
    arrays, about = tmp_path / "arrays.safetensors", tmp_path / "model.json"
    if damage == "absent":
        arrays.unlink()
    elif damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:-3])
    elif damage == "garbled":
        about.write_text("{")
    else:
        held = json.loads(about.read_text())
        if damage == "of another":
            held["model"] = "FittedOther"
        else:
            held["values"] = {"unheard": 1}
        about.write_text(json.dumps(held))
    with pytest.raises(WeightsError, match=r"(holds no|is not a saved)"):
        component.restore(tmp_path)
