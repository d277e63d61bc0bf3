"""Every encoder: finite rows in number, repeatable, inputs untouched."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial import cKDTree

from triptych.core.errors import DataError
from triptych.core.protocols import Counts, Crops, Molecules
from triptych.encoders import registry

WINDOWS = [name for name in registry if registry.find(name).takes == "windows"]
CROPS = [name for name in registry if registry.find(name).takes == "crops"]
OTHERS = [name for name in registry if name not in WINDOWS]
TRAINED = ("spot-vae", "stain-vae", "dual-vae")  # the order of the rows decides their batches
OPTIONAL = {"cellprofiler": "cp_measure"}
FITS = [name for name in OTHERS if hasattr(registry.find(name), "fit")]
COUNTING = [name for name in FITS if registry.find(name).takes in ("counts", "labelled-counts")]


@pytest.fixture(autouse=True)
def installed(request):
    name = request.node.callspec.params["name"]
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name], reason=f"the extra of {name} is not installed")


@pytest.fixture
def counts(rng):
    matrix = sp.csr_matrix(rng.poisson(rng.gamma(1, 1, (80, 4)) @ rng.gamma(1, 0.5, (4, 30))))
    truth = np.arange(80) % 4 - 1
    return Counts(matrix, np.array([f"g{i}" for i in range(30)]), np.arange(80) % 2, truth)


@pytest.fixture
def crops(rng):
    """Two sections of 40 cells each, rows of both mixed, all well inside their stains."""
    sample, genes = rng.permutation(np.repeat([0, 1], 40)), np.array([f"g{i}" for i in range(6)])
    centres = rng.uniform(40, 260, (80, 2))
    molecules = []
    for code in (0, 1):
        px = rng.uniform(0, 300, (4000, 2)).astype(np.float32)
        far, near = cKDTree(centres[sample == code]).query(px)
        owner = np.where(far < 15, np.flatnonzero(sample == code)[near], -1)
        molecules.append(Molecules(px, rng.integers(0, 6, 4000), owner))
    pixels = tuple(tuple(rng.integers(0, 4096, (300, 300), dtype=np.uint16) for _ in "ab") for _ in (0, 1))
    return Crops(centres, sample, (0.1, 0.1), ("DAPI", "Membrane"), pixels, genes, tuple(molecules))


def encoded(component, given, twice):
    if component.takes == "windows":
        assert component.window_um > 0
        rng = np.random.default_rng(0)
        windows = rng.integers(0, 256, (6, component.tile_px, component.tile_px, 3), dtype=np.uint8)
        windows.flags.writeable = False
        return 6, twice(lambda _: component.load("cpu")(windows))
    return 80, twice(lambda rng: component.encode(given, rng))


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, small, declares, counts, places, given, twice, unchanged):
    component = small(registry, name)
    declares(registry, name, component)
    assert component.takes in ("counts", "labelled-counts", "places", "windows", "crops")
    unchanged(counts.matrix, counts.batch, places.um, places.sample)
    rows, found = encoded(component, given, twice)
    assert found.ndim == 2
    assert found.shape[0] == rows
    assert np.issubdtype(found.dtype, np.floating)
    assert np.isfinite(found.data if sp.issparse(found) else found).all()


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in TRAINED])
def test_order_of_rows_does_not_matter(name, small, given):
    component, order = small(registry, name), np.random.default_rng(2).permutation(80)
    turned = some(given, order)
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
    """A part of the counts, places or crops, whose codes count from 0 again."""
    if isinstance(given, Counts):
        batch = np.unique(given.batch[rows], return_inverse=True)[1]
        return Counts(given.matrix[rows], given.genes, batch, given.truth[rows])
    if isinstance(given, Crops):
        return some_crops(given, rows)
    sample = np.unique(given.sample[rows], return_inverse=True)[1]
    return type(given)(given.um[rows], sample)


def some_crops(given, rows):
    """The crops of some cells, among the molecules and stains of their sections."""
    kept, sample = np.unique(given.sample[rows], return_inverse=True)
    place = np.full(len(given.sample) + 1, -1)
    place[rows] = np.arange(len(rows))
    molecules = tuple(
        Molecules(given.molecules[code].px, given.molecules[code].gene, place[given.molecules[code].cell])
        for code in kept
    )
    return Crops(
        given.centres_px[rows], sample, tuple(given.mpp[code] for code in kept), given.stains,
        tuple(given.pixels[code] for code in kept), given.genes, molecules,
    )  # fmt: skip


def poisoned(given, poison):
    """Other stains and molecules in the second section."""
    stains = tuple(plane + np.uint16(poison) for plane in given.pixels[1])
    moved = Molecules(
        given.molecules[1].px + np.float32(poison), given.molecules[1].gene, given.molecules[1].cell
    )
    return replace(given, pixels=(given.pixels[0], stains), molecules=(given.molecules[0], moved))


def dense(found):
    return found.toarray() if sp.issparse(found) else found


@pytest.fixture
def given(name, counts, places, crops):
    takes = registry.find(name).takes
    return crops if takes == "crops" else counts if takes.endswith("counts") else places


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
            whole = Counts(sp.csr_matrix(matrix), given.genes, given.batch, given.truth)
        elif isinstance(given, Crops):  # the other section is another donor
            rows, whole = np.flatnonzero(given.sample == 0), poisoned(given, poison)
        else:
            whole = type(given)(given.um + poison * (np.arange(80) >= 50)[:, None], given.sample)
        part = some(whole, rows)
        component.fit(part, np.random.default_rng(4)).model.save(tmp_path / folder)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes()


@pytest.mark.parametrize("name", COUNTING)
def test_counts_of_other_genes_are_refused(name, small, counts, rng):
    model = small(registry, name).fit(counts, rng).model
    strangers = replace(counts, genes=np.char.add("h", counts.genes))
    with pytest.raises(DataError, match=f"{name}: 30 of 30 genes of the fit are missing"):
        model.apply(strangers)


@pytest.mark.parametrize("name", COUNTING)
def test_genes_are_found_in_any_order(name, small, counts, rng, same_bits):
    model, order = small(registry, name).fit(counts, rng).model, rng.permutation(30)
    turned = replace(counts, matrix=counts.matrix[:, order], genes=counts.genes[order])
    same_bits(model.apply(turned), model.apply(counts))


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in FITS])
def test_without_a_fit_each_section_is_by_itself(name, small, given, places):
    component = small(registry, name)
    together = dense(component.encode(given, np.random.default_rng(0)))
    for code in (0, 1):
        rows = np.flatnonzero(getattr(given, "sample", places.sample) == code)
        alone = dense(component.encode(some(given, rows), np.random.default_rng(0)))
        assert np.allclose(together[rows], alone, atol=1e-8)
