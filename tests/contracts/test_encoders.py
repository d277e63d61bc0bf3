"""Every encoder: finite rows in number, repeatable, inputs untouched."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError
from triptych.core.protocols import Counts
from triptych.encoders import registry

WINDOWS = [name for name in registry if registry.find(name).takes == "windows"]
OTHERS = [name for name in registry if name not in WINDOWS]
FITS = [name for name in OTHERS if hasattr(registry.find(name), "fit")]
COUNTING = [name for name in FITS if registry.find(name).takes == "counts"]


@pytest.fixture
def counts(rng):
    matrix = sp.csr_matrix(rng.poisson(rng.gamma(1, 1, (80, 4)) @ rng.gamma(1, 0.5, (4, 30))))
    return Counts(matrix, np.array([f"g{i}" for i in range(30)]), np.arange(80) % 2)


def encoded(component, counts, places, twice):
    if component.takes == "windows":
        assert component.window_um > 0
        rng = np.random.default_rng(0)
        windows = rng.integers(0, 256, (6, component.tile_px, component.tile_px, 3), dtype=np.uint8)
        windows.flags.writeable = False
        return 6, twice(lambda _: component.load("cpu")(windows))
    given = counts if component.takes == "counts" else places
    return 80, twice(lambda rng: component.encode(given, rng))


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, counts, places, twice, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    assert component.takes in ("counts", "places", "windows")
    unchanged(counts.matrix, counts.batch, places.um, places.sample)
    rows, found = encoded(component, counts, places, twice)
    assert found.ndim == 2
    assert found.shape[0] == rows
    assert np.issubdtype(found.dtype, np.floating)
    assert np.isfinite(found.data if sp.issparse(found) else found).all()


@pytest.mark.parametrize("name", OTHERS)
def test_order_of_rows_does_not_matter(name, small, counts, places):
    component, order = small(registry, name), np.random.default_rng(2).permutation(80)
    moved = Counts(counts.matrix[order], counts.genes, counts.batch[order])
    elsewhere = type(places)(places.um[order], places.sample[order])
    given, turned = (counts, moved) if component.takes == "counts" else (places, elsewhere)
    one, other = (component.encode(g, np.random.default_rng(0)) for g in (given, turned))
    one, other = (m.toarray() if sp.issparse(m) else m for m in (one, other))
    assert np.allclose(one[order], other, atol=1e-6)


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_do_not_depend_on_their_batch(name, small):
    component = small(registry, name)
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 256, (5, component.tile_px, component.tile_px, 3), dtype=np.uint8)
    encode = component.load("cpu")
    alone = np.concatenate([encode(windows[i : i + 1]) for i in range(5)])
    assert np.allclose(encode(windows), alone, atol=1e-5)


def some(given, rows):
    """A part of the counts or places, whose codes count from 0 again."""
    if isinstance(given, Counts):
        batch = np.unique(given.batch[rows], return_inverse=True)[1]
        return Counts(given.matrix[rows], given.genes, batch)
    sample = np.unique(given.sample[rows], return_inverse=True)[1]
    return type(given)(given.um[rows], sample)


def dense(found):
    return found.toarray() if sp.issparse(found) else found


@pytest.fixture
def given(name, counts, places):
    return counts if registry.find(name).takes == "counts" else places


@pytest.mark.parametrize("name", FITS)
def test_a_fit_gives_what_encoding_gives_and_so_does_its_model(name, small, given, same_bits):
    component = small(registry, name)
    value, model = component.fit(given, np.random.default_rng(3))
    same_bits(value, component.encode(given, np.random.default_rng(3)))
    assert np.allclose(dense(model.apply(given)), dense(value), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", FITS)
def test_rows_are_applied_one_by_one(name, small, given, rng):
    model = small(registry, name).fit(given, rng).model
    rows = np.flatnonzero(np.arange(80) % 3 == 1)
    assert np.allclose(dense(model.apply(some(given, rows))), dense(model.apply(given))[rows], atol=1e-8)


@pytest.mark.parametrize("name", FITS)
def test_a_restored_model_gives_the_same_bits(name, small, given, rng, restored, same_bits):
    component = small(registry, name)
    model = component.fit(some(given, np.arange(50)), rng).model
    same_bits(restored(component, model).apply(given), model.apply(given))


@pytest.mark.parametrize("name", FITS)
def test_damaged_models_are_refused(name, small, given, rng, refuses_damage):
    component = small(registry, name)
    refuses_damage(component, component.fit(given, rng).model)


@pytest.mark.parametrize("name", FITS)
def test_a_model_knows_nothing_of_rows_it_was_not_given(name, small, given, tmp_path):
    """Whatever the other donor holds, the files of the model are the same to the byte."""
    component, rows = small(registry, name), np.arange(50)
    for folder, poison in (("one", 0), ("other", 7)):
        if isinstance(given, Counts):
            matrix = given.matrix.toarray()
            matrix[50:] += poison
            whole = Counts(sp.csr_matrix(matrix), given.genes, given.batch)
        else:
            whole = type(given)(given.um + poison * (np.arange(80) >= 50)[:, None], given.sample)
        part = some(whole, rows)
        component.fit(part, np.random.default_rng(4)).model.save(tmp_path / folder)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes()


@pytest.mark.parametrize("name", COUNTING)
def test_counts_of_other_genes_are_refused(name, small, counts, rng):
    model = small(registry, name).fit(counts, rng).model
    strangers = Counts(counts.matrix, np.char.add("h", counts.genes), counts.batch)
    with pytest.raises(DataError, match=f"{name}: 30 of 30 genes of the fit are missing"):
        model.apply(strangers)


@pytest.mark.parametrize("name", COUNTING)
def test_genes_are_found_in_any_order(name, small, counts, rng, same_bits):
    model, order = small(registry, name).fit(counts, rng).model, rng.permutation(30)
    turned = Counts(counts.matrix[:, order], counts.genes[order], counts.batch)
    same_bits(model.apply(turned), model.apply(counts))


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in FITS])
def test_without_a_fit_each_section_is_by_itself(name, small, given, places):
    component = small(registry, name)
    together = dense(component.encode(given, np.random.default_rng(0)))
    for code in (0, 1):
        rows = np.flatnonzero(places.sample == code)
        alone = dense(component.encode(some(given, rows), np.random.default_rng(0)))
        assert np.allclose(together[rows], alone, atol=1e-8)
