import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import nnls

from triptych.core.abundance import Reference
from triptych.core.errors import DataError, NumericsError, RecipeError, TriptychWarning
from triptych.core.protocols import Counts
from triptych.deconvolvers import registry
from triptych.deconvolvers.nnls import Nnls
from triptych.maths.mixtures import halves, mixed

NAMES = ("B", "Mono", "NK", "T")


def reference(sizes=(40, 30, 20, 25), genes=120, depth=(2000, 6000, 1500, 2500), seed=0):
    """Types with profiles of their own; their cells differ in size."""
    rng = np.random.default_rng(seed)
    t = len(sizes)
    profiles = rng.gamma(0.4, 1.0, (t, genes)) + 0.01
    profiles /= profiles.sum(axis=1, keepdims=True)
    types = rng.permutation(np.repeat(np.arange(t), sizes))
    counts = rng.poisson(profiles[types] * np.array(depth[:t])[types, None])
    names = np.array([f"g{i}" for i in range(genes)])
    return Reference(sp.csr_matrix(counts), names, types, NAMES[:t], np.zeros(len(types), int))


def spots(rng, given=None, **how):
    counts, truth = mixed(given or reference(), rng, spots=150, depth=0.4, types=(1, 3), **how)
    return counts, truth.values / truth.values.sum(axis=1, keepdims=True)


def naive(counts, given, *, genes_per_type=100, detected=0.25, dispersion=0.1):
    """The definition with loops and scipy, over genes in the order of the spots."""
    here = [list(counts.genes).index(g) for g in counts.genes if g in given.genes]
    there = [list(given.genes).index(counts.genes[i]) for i in here]
    y, cells = counts.matrix.toarray()[:, here] * 1.0, given.matrix.toarray()[:, there] * 1.0
    total = y.sum(axis=1)
    share, found, size = [], [], []
    for code in range(len(given.names)):
        own = cells[given.types == code]
        share.append(np.mean([cell / cell.sum() for cell in own], axis=0))
        found.append((own > 0).mean(axis=0))
        size.append(own.sum(axis=1).mean())
    share, found = np.array(share), np.array(found)
    genes = set()
    for code in range(len(share)):
        change = {}
        for g in range(len(here)):
            others = np.mean([share[o, g] for o in range(len(share)) if o != code])
            value = np.log2((share[code, g] + 1e-5) / (others + 1e-5))
            if found[code, g] >= detected and value > 0 and y[:, g].sum() > 0:
                change[g] = value
        genes |= set(sorted(change, key=change.get, reverse=True)[: genes_per_type or None])
    genes = sorted(genes)
    mean = share[:, genes].mean(axis=0)
    root = np.sqrt(1 / (mean / np.median(total[total > 0]) + dispersion * mean**2))
    found = [
        nnls((share[:, genes] * root).T, row[genes] / n * root)[0] for row, n in zip(y, total, strict=True)
    ]
    return np.array(found), np.array(size), total


@pytest.mark.parametrize("genes_per_type", [5, 100, 0])
@pytest.mark.parametrize("dispersion", [0.0, 0.1])
def test_it_is_the_definition(rng, genes_per_type, dispersion):
    given = reference()
    counts, _ = spots(rng, given)
    how = {"genes_per_type": genes_per_type, "dispersion": dispersion}
    x, size, total = naive(counts, given, **how)
    molecules = Nnls(**how, unit="molecules", proportions=False).deconvolve(counts, given, rng).values
    np.testing.assert_allclose(molecules, x * total[:, None], atol=1e-6 * total.max())
    cells = Nnls(**how, proportions=False).deconvolve(counts, given, rng).values
    np.testing.assert_allclose(cells, x * total[:, None] / size, atol=1e-6 * total.max())
    shares = Nnls(**how).deconvolve(counts, given, rng)
    np.testing.assert_allclose(shares.values, (x / size) / (x / size).sum(axis=1, keepdims=True), atol=1e-6)
    assert shares.types == given.names
    assert shares.low is None


def test_genes_are_matched_by_name(rng):
    given = reference()
    counts, _ = spots(rng, given)
    order = rng.permutation(120)[:90]
    extra = sp.csr_matrix(rng.poisson(3.0, (150, 2)))
    other = Counts(
        sp.hstack([counts.matrix[:, order], extra]).tocsr(),
        np.array([*counts.genes[order], "x", "y"]),
        counts.batch,
    )
    part = Counts(counts.matrix[:, np.sort(order)], counts.genes[np.sort(order)], counts.batch)
    np.testing.assert_allclose(
        Nnls().deconvolve(other, given, rng).values, Nnls().deconvolve(part, given, rng).values, atol=1e-9
    )
    x, size, _ = naive(other, given)
    np.testing.assert_allclose(
        Nnls().deconvolve(other, given, rng).values,
        (x / size) / (x / size).sum(axis=1, keepdims=True),
        atol=1e-6,
    )


def test_known_shares_of_cells_come_back(rng):
    given = reference()
    counts, truth = spots(rng, given)
    found = Nnls().deconvolve(counts, given, rng).values
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.03
    molecules = Nnls(unit="molecules").deconvolve(counts, given, rng).values
    assert np.sqrt(np.mean((molecules - truth) ** 2)) > 0.08  # large cells give more molecules
    counts, truth = mixed(given, rng, spots=150)
    numbers = Nnls(proportions=False).deconvolve(counts, given, rng).values
    assert np.corrcoef(numbers.sum(axis=1), truth.values.sum(axis=1))[0, 1] > 0.9
    np.testing.assert_allclose(numbers.mean(axis=0), truth.values.mean(axis=0), rtol=0.1)


def test_spots_do_not_depend_on_their_order(rng):
    given = reference()
    counts, _ = spots(rng, given)
    order = rng.permutation(150)
    turned = Counts(counts.matrix[order], counts.genes, counts.batch)
    np.testing.assert_allclose(
        Nnls().deconvolve(turned, given, rng).values,
        Nnls().deconvolve(counts, given, rng).values[order],
        atol=1e-9,
    )


def test_a_spot_without_counts_is_unknown_with_a_word(rng):
    given = reference()
    counts, _ = spots(rng, given)
    empty = sp.vstack([counts.matrix, sp.csr_matrix((2, 120), dtype=np.int32)]).tocsr()
    with pytest.warns(TriptychWarning, match="nnls: 2 of 152 spots have no count of any marker"):
        found = Nnls().deconvolve(Counts(empty, counts.genes, np.zeros(152, int)), given, rng).values
    assert np.isnan(found[-2:]).all()
    np.testing.assert_array_equal(found[:-2], Nnls().deconvolve(counts, given, rng).values)


def test_all_faults_together(rng):
    given = reference()
    counts, _ = spots(rng, given)
    twice = Counts(counts.matrix, np.array(["a", "a", *(f"h{i}" for i in range(118))]), counts.batch)
    bad = Reference(given.matrix, given.genes, given.types, (*NAMES, "Plasma"), given.batch)
    with pytest.raises(DataError) as error:
        Nnls().deconvolve(twice, bad, rng)
    for part in (
        "3 faults", "the spots have genes more than once: a", "the reference has no cell of Plasma",
        "share 0 genes, fewer than types (5); the spots have a, a, h0 and 117 more, the reference g0, g1, g2",
    ):  # fmt: skip
        assert part in str(error.value), part


def test_one_type_is_nothing_to_tell(rng):
    given = reference((10,))
    with pytest.raises(DataError, match="the reference has 1 type; of fewer than 2"):
        Nnls().deconvolve(spots(rng)[0], given, rng)


def test_counts_that_are_none(rng):
    counts, _ = spots(rng)
    with pytest.raises(DataError, match="some values are negative"):
        Nnls().deconvolve(Counts(-counts.matrix, counts.genes, counts.batch), reference(), rng)


def test_a_type_that_no_gene_marks(rng):
    given = reference()
    counts, _ = spots(rng, given)
    cells = given.matrix.toarray()
    cells[given.types == 2] = 0
    cells[np.flatnonzero(given.types == 2), np.arange((given.types == 2).sum())] = 5  # each its own gene
    odd = Reference(sp.csr_matrix(cells), given.genes, given.types, NAMES, given.batch)
    with pytest.raises(DataError, match="no gene marks NK: none that the spots have is in 25% of its cells"):
        Nnls().deconvolve(counts, odd, rng)


def test_types_that_cannot_be_told_apart_are_named(rng):
    given = reference()
    counts, _ = spots(rng, given)
    same = Reference(
        sp.vstack([given.matrix, given.matrix[given.types == 1]]).tocsr(),
        given.genes,
        np.append(given.types, np.full((given.types == 1).sum(), 4)),
        (*NAMES, "Mono again"),
        np.zeros(145, int),
    )
    with pytest.raises(NumericsError, match="the most alike are Mono and Mono again"):
        Nnls().deconvolve(counts, same, rng)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"genes_per_type": -1}, "genes_per_type must not be negative"),
        ({"detected": 1.5}, "detected must lie between 0 and 1"),
        ({"dispersion": -0.1}, "dispersion must not be negative"),
        ({"unit": "spots"}, "unit"),
    ],
)
def test_parameters_that_cannot_be(params, said):
    with pytest.raises(RecipeError, match=said):
        registry.make("nnls", params)


def test_what_it_gives():
    assert Nnls().gives == "shares of cells by non-negative least squares"
    assert (
        Nnls(proportions=False, unit="molecules").gives
        == "numbers of molecules by non-negative least squares"
    )
    assert registry.make("nnls", {}).takes == "reference"


@pytest.mark.data
@pytest.mark.parametrize(("distortion", "least"), [(0.0, 0.88), (0.7, 0.85)])
def test_pseudo_spots_of_real_cells(real_data, rng, distortion, least):
    """Of cells that the fit has not seen, 15 of each of 11 types: r = 0.90, and 0.88 with distortion."""
    from triptych.readers.reference import read_reference

    known, other = halves(read_reference(real_data / "lymph_visium_ref" / "sc_ref.h5ad"), rng)
    counts, truth = mixed(other, rng, spots=500, depth=(0.1, 0.5), distortion=distortion)
    share = truth.values / truth.values.sum(axis=1, keepdims=True)
    found = Nnls().deconvolve(counts, known, rng).values
    assert np.corrcoef(found.ravel(), share.ravel())[0, 1] > least
    assert np.sqrt(np.mean((found - share) ** 2)) < 0.12


@pytest.mark.data
def test_real_spots(real_data, rng):
    from anndata.io import read_h5ad

    from triptych.readers.reference import read_reference

    table = read_h5ad(real_data / "lymph_visium_ref" / "visium.h5ad")
    counts = Counts(
        sp.csr_matrix(table.X), table.var_names.to_numpy().astype(np.str_), np.zeros(table.n_obs, int)
    )
    given = read_reference(real_data / "lymph_visium_ref" / "sc_ref.h5ad")
    found = Nnls().deconvolve(counts, given, rng)
    np.testing.assert_allclose(found.values.sum(axis=1), 1)
    mean = dict(zip(found.types, found.values.mean(axis=0), strict=True))
    assert mean["B"] + mean["T_CD4"] + mean["T_CD8"] > 0.3  # what a lymph node is made of
