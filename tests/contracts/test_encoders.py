"""Every encoder: finite rows in number, repeatable, inputs untouched."""

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.protocols import Counts
from triptych.encoders import registry

WINDOWS = [name for name in registry if registry.find(name).takes == "windows"]
OTHERS = [name for name in registry if name not in WINDOWS]


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
