import numpy as np
import pytest
import scipy.sparse as sp

from triptych.core.abundance import Reference
from triptych.core.errors import DataError
from triptych.maths.mixtures import halves, mixed

NAMES = ("B", "T", "NK", "Mono")


def reference(sizes=(9, 6, 4, 3), genes=20, seed=0):
    rng = np.random.default_rng(seed)
    types = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    counts = rng.poisson(rng.gamma(1.0, 3.0, (len(sizes), genes))[types])
    return Reference(
        sp.csr_matrix(counts), np.array([f"g{i}" for i in range(genes)]), types, NAMES[: len(sizes)],
        np.arange(len(types)) % 2,
    )  # fmt: skip


def apart():
    """One cell of each type, each with a gene of its own: counts tell how many cells there were."""
    return Reference(
        sp.csr_matrix(np.eye(4, dtype=int) * 100),
        np.array(list("abcd")),
        np.arange(4),
        NAMES,
        np.zeros(4, int),
    )


def test_whole_molecules_are_those_of_the_cells_counted(rng):
    counts, abundance = mixed(apart(), rng, spots=50)
    np.testing.assert_array_equal(counts.matrix.toarray(), abundance.values * 100)
    assert abundance.types == NAMES
    assert counts.matrix.dtype == np.int32
    np.testing.assert_array_equal(counts.batch, 0)


def test_cells_and_types_keep_to_their_ranges(rng):
    _, abundance = mixed(reference(), rng, spots=400, cells=(3, 6), types=(2, 3))
    total, kinds = abundance.values.sum(axis=1), (abundance.values > 0).sum(axis=1)
    assert set(total) == {3, 4, 5, 6}
    assert set(kinds) == {1, 2, 3}  # of two types one may be drawn by no cell
    _, one = mixed(reference(), rng, spots=50, types=(1, 1))
    assert np.all((one.values > 0).sum(axis=1) == 1)


def test_more_types_than_there_are_is_all_of_them(rng):
    _, abundance = mixed(reference(), rng, spots=300, cells=(40, 40), types=(9, 9))
    assert (abundance.values > 0).all(axis=1).mean() > 0.5
    share = abundance.values / 40
    np.testing.assert_allclose(share.mean(axis=0), 0.25, atol=0.05)  # uniform on the simplex


def test_every_cell_of_a_type_is_as_likely(rng):
    given = reference((5, 5))
    marked = Reference(
        sp.identity(10, format="csr", dtype=np.int64), np.arange(10).astype(str), given.types, given.names,
        given.batch,
    )  # fmt: skip
    counts, abundance = mixed(marked, rng, spots=2000, cells=(5, 5))
    drawn = counts.matrix.toarray()
    np.testing.assert_allclose(drawn.sum(axis=0) / drawn.sum(), 0.1, atol=0.01)
    for code in range(2):
        np.testing.assert_array_equal(drawn[:, given.types == code].sum(axis=1), abundance.values[:, code])


def test_depth_is_the_share_of_molecules_kept(rng):
    counts, abundance = mixed(apart(), rng, spots=500, depth=0.2)
    kept, whole = counts.matrix.toarray(), abundance.values * 100
    assert np.all(kept <= whole)
    assert kept.sum() / whole.sum() == pytest.approx(0.2, rel=0.02)
    one = kept[whole == 100]
    assert one.var() == pytest.approx(100 * 0.2 * 0.8, rel=0.2)  # binomial
    counts, abundance = mixed(apart(), rng, spots=500, depth=(0.1, 0.9))
    share = counts.matrix.sum(axis=1).A1 / (abundance.values.sum(axis=1) * 100)
    assert 0.08 < share.min() < 0.15
    assert 0.85 < share.max() < 0.93


def test_distortion_is_one_factor_per_gene(rng):
    counts, abundance = mixed(apart(), rng, spots=3000, distortion=0.5)
    factor = counts.matrix.toarray().sum(axis=0) / (abundance.values.sum(axis=0) * 100)
    assert np.std(np.log(factor)) > 0.1
    per_spot = counts.matrix.toarray() / np.maximum(abundance.values * 100, 1)
    for gene in range(4):
        seen = per_spot[abundance.values[:, gene] > 0, gene]
        np.testing.assert_allclose(seen, factor[gene], atol=0.25)
    many = Reference(
        sp.csr_matrix(np.full((1, 2000), 1000)), np.arange(2000).astype(str), np.zeros(1, int), ("B",),
        np.zeros(1, int),
    )  # fmt: skip
    counts, _ = mixed(many, rng, spots=1, cells=(1, 1), distortion=0.5)
    assert np.std(np.log(counts.matrix.toarray() / 1000)) == pytest.approx(0.5, rel=0.1)


def test_same_generator_same_bits():
    one, other = (mixed(reference(), np.random.default_rng(3), spots=30, depth=0.5)[0] for _ in range(2))
    np.testing.assert_array_equal(one.matrix.toarray(), other.matrix.toarray())
    assert one.matrix.has_sorted_indices
    assert (one.matrix.data > 0).all()


def test_all_faults_of_a_mixture_are_told(rng):
    given = reference()
    given = Reference(given.matrix, given.genes, given.types, (*NAMES, "Plasma"), given.batch)
    with pytest.raises(DataError) as error:
        mixed(given, rng, spots=0, cells=(0, 3), depth=(0.5, 0.2), types=(3, 2), distortion=-1)
    for part in (
        "6 faults", "at least 1, not 0", "(0, 3) is no range of numbers of cells", "(0.5, 0.2) is no range",
        "(3, 2) is no range of numbers of types", "distortion is -1", "no cell of Plasma",
    ):  # fmt: skip
        assert part in str(error.value)


def test_halves_share_no_cell_and_halve_every_type(rng):
    given = reference()
    marked = Reference(
        sp.identity(22, format="csr", dtype=np.int64),
        np.arange(22).astype(str),
        given.types,
        NAMES,
        given.batch,
    )
    one, other = halves(marked, rng)
    both = one.matrix.toarray().sum(axis=0) + other.matrix.toarray().sum(axis=0)
    np.testing.assert_array_equal(both, 1)
    np.testing.assert_array_equal(np.bincount(one.types), [5, 3, 2, 2])
    np.testing.assert_array_equal(np.bincount(other.types), [4, 3, 2, 1])
    for half in (one, other):
        cell = half.matrix.indices
        np.testing.assert_array_equal(half.types, given.types[cell])
        np.testing.assert_array_equal(half.batch, given.batch[cell])


def test_halves_refuse_a_type_of_one_cell(rng):
    with pytest.raises(DataError, match="fewer than 2 cells of Mono"):
        halves(reference((4, 4, 4, 1)), rng)
