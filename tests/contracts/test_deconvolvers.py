"""Every deconvolver: what is known of the spots, in the order of the reference's types, repeatable.

One that ``takes`` a ``reference`` is given single cells with their types, one that ``takes`` a ``table`` what
somebody made of the same spots.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Abundance, Reference
from triptych.core.errors import DataError
from triptych.core.protocols import Counts
from triptych.deconvolvers import registry
from triptych.maths.mixtures import mixed

TYPES = ("T", "B cell", "NK", 'myeloid, "$x"')  # in an order that no sorting gives
REFERENCE = [name for name in registry if registry.find(name).takes == "reference"]
TABLE = [name for name in registry if registry.find(name).takes == "table"]
FIXED = [name for name in registry if not registry.find(name).random]
SHARES = {"proportions": True, "normalise": "proportions"}  # how a deconvolver is asked for proportions


@pytest.fixture(autouse=True)
def installed(request):
    extra = getattr(registry.find(request.node.callspec.params["name"]), "extra", None)
    if extra:
        pytest.importorskip(extra[0], reason=f"the extra {extra[1]} is not installed")


@pytest.fixture
def component(name, small):
    return small(registry, name)


@pytest.fixture(scope="module")
def spots():
    """Counts of 40 spots in two batches, the cells that they were mixed from, and in what numbers."""
    rng = np.random.default_rng(0)
    types, genes = np.arange(80) % 4, np.array([f"g{i}" for i in rng.permutation(60)])
    matrix = rng.poisson(rng.gamma(0.5, 6.0, (4, 60))[types]).astype(np.int32)
    reference = Reference(sp.csr_matrix(matrix), genes, types, TYPES, types * 0)
    counts, truth = mixed(reference, rng, spots=40)
    return replace(counts, batch=np.arange(40) % 2), reference, truth


@pytest.fixture
def given(name, spots):
    return spots[1] if name in REFERENCE else spots[2]


def deconvolved(component, counts, given, seed=0):
    return component.deconvolve(counts, given, np.random.default_rng(seed))


def turned(of, order):
    """The same counts with the genes in another order."""
    return replace(of, matrix=of.matrix[:, order], genes=of.genes[order])


def parts(found):
    return [part for part in (found.values, found.low, found.high) if part is not None]


@pytest.mark.parametrize("name", list(registry))
def test_contract(name, component, declares, spots, given, twice, unchanged):
    counts, reference, truth = spots
    declares(registry, name, component)
    unchanged(counts.matrix, counts.batch, reference.matrix, reference.types, reference.batch, truth.values)
    found = deconvolved(component, counts, given)
    assert type(found) is Abundance
    assert found.types == TYPES
    assert (found.low is None) == (found.high is None)
    for part in parts(found):
        assert part.shape == (40, 4)
        assert part.dtype == np.float64
        assert np.isfinite(part).all()
        assert (part >= 0).all()
    if found.low is not None:
        assert (found.low <= found.values).all()
        assert (found.values <= found.high).all()
    twice(lambda rng: np.stack(parts(component.deconvolve(counts, given, rng))))


@pytest.mark.parametrize("name", list(registry))
def test_what_it_gives_stands_in_a_sentence(name, component):
    """It says what the numbers are, as in «Values are …»: no capital, no full stop, one line."""
    gives = component.gives
    assert gives == gives.strip()
    assert gives[0].islower()
    assert gives[-1] not in ".:;,"
    assert "\n" not in gives
    assert any(word in gives for word in ("cells", "shares", "numbers", "proportions", "abundances"))


@pytest.mark.parametrize("name", list(registry))
def test_proportions_sum_to_1(name, small, spots, given):
    component = small(registry, name, **SHARES)
    assert {field.name for field in fields(component)} & set(SHARES), "nothing asks it for proportions"
    found = component.deconvolve(spots[0], given, np.random.default_rng(0))
    assert np.allclose(found.values.sum(axis=1), 1, rtol=0, atol=1e-9)
    assert all((part <= 1 + 1e-9).all() for part in parts(found))
    assert any(word in component.gives for word in ("shares", "proportions"))


@pytest.mark.parametrize("name", list(registry))
def test_genes_are_found_in_any_order(name, component, spots, given):
    """One that draws is asked for the same too, so it must bring genes into an order of its own."""
    order = np.random.default_rng(1).permutation(60)
    other = turned(given, order[::-1]) if name in REFERENCE else given
    one, two = deconvolved(component, spots[0], given), deconvolved(component, turned(spots[0], order), other)
    for a, b in zip(parts(one), parts(two), strict=True):
        assert np.allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FIXED)
def test_order_of_spots_does_not_matter(name, component, spots, given, rng):
    counts, order = spots[0], rng.permutation(40)
    moved = Counts(counts.matrix[order], counts.genes, counts.batch[order])
    other = given if name in REFERENCE else Abundance(given.values[order], given.types)
    one, two = deconvolved(component, counts, given), deconvolved(component, moved, other)
    assert np.allclose(one.values[order], two.values, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in FIXED if name in REFERENCE])
def test_order_of_types_is_that_of_the_reference(name, component, spots):
    """Types of other codes give the same columns in another order."""
    counts, reference, _ = spots
    code = np.array([2, 0, 3, 1])  # the new code of each type
    names = tuple(TYPES[old] for old in np.argsort(code))
    one = deconvolved(component, counts, reference)
    other = deconvolved(component, counts, replace(reference, types=code[reference.types], names=names))
    assert other.types == names
    assert np.allclose(other.values[:, code], one.values, atol=1e-6)


@pytest.mark.parametrize("name", REFERENCE)
def test_no_shared_gene_is_refused(name, component, spots):
    counts, reference, _ = spots
    strangers = replace(reference, genes=np.char.add("ENSG", reference.genes))
    with pytest.raises(DataError, match=f"{name}: spots and reference share 0 genes") as caught:
        deconvolved(component, counts, strangers)
    for genes in (counts.genes, strangers.genes):  # what either has is shown
        assert ", ".join(genes[:3]) in str(caught.value)


@pytest.mark.parametrize("name", REFERENCE)
def test_genes_named_twice_are_refused(name, component, spots):
    counts, reference, _ = spots
    genes = reference.genes.copy()
    genes[1] = genes[0]
    with pytest.raises(DataError, match=f"{name}: .*{genes[0]}"):
        deconvolved(component, counts, replace(reference, genes=genes))


@pytest.mark.parametrize("name", TABLE)
def test_a_table_of_other_spots_is_refused(name, component, spots):
    counts, _, truth = spots
    with pytest.raises(DataError, match=rf"{name}: the table has shape \(39, 4\)"):
        deconvolved(component, counts, Abundance(truth.values[1:], truth.types))


@pytest.mark.parametrize("name", list(registry))
def test_negative_numbers_are_refused(name, component, spots, given):
    bad = given.matrix.astype(np.float64) if name in REFERENCE else given.values.copy()
    bad[0, 0] = -1
    other = replace(given, matrix=bad) if name in REFERENCE else Abundance(bad, given.types)
    with pytest.raises(DataError, match="negative"):
        deconvolved(component, spots[0], other)
