"""Every annotator: chances of classes for each cell, whatever the order of cells and genes; counts untouched.

One that ``takes`` a ``table`` is given the types of the cells, some of them missing. One that is ``random``
clusters cells: of another order of the same cells it may cut clusters otherwise, so most cells must agree.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.sparse as sp

from triptych.annotators import registry
from triptych.annotators.markers import NEOPLASTIC
from triptych.core.errors import DataError, WeightsError
from triptych.core.nuclei import Annotation
from triptych.core.protocols import Counts

FILE = """
organism: none
sources: {book: A book}
classes:
  inflammatory:
    programmes: {t: {positive: [I1, I2, I3], negative: [E1], source: book}}
  connective:
    programmes: {f: {positive: [C1, C2, C3], source: book}}
  epithelial:
    programmes: {l: {positive: [E1, E2, E3], negative: [I1], source: book}}
neoplastic:
  of: epithelial
  programmes:
    proliferation: {positive: [P1, P2], source: book}
    tumour: {positive: [X1, X2], source: book}
"""
CLASSES = ("inflammatory", "connective", "epithelial")
GENES = np.array([f"{kind}{i}" for kind in "ICE" for i in (1, 2, 3)] + ["P1", "P2", "X1", "X2"] + [
    f"N{i}" for i in range(20)
])  # fmt: skip
CELLS, EMPTY = 200, 17
NAMES = pytest.mark.parametrize("name", list(registry))
READING = [name for name in registry if "markers" in {field.name for field in fields(registry.find(name))}]
CLUSTERING = [name for name in registry if registry.find(name).random]
LITTLE = pytest.mark.filterwarnings("ignore:hierarchical. the genes and samples hold no evidence")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "markers.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def make(small, file):
    def build(name, **more):
        return small(registry, name, **{"markers": str(file), "least_genes": 2} | more)

    return build


@pytest.fixture
def component(name, make):
    return make(name)


@pytest.fixture
def cells():
    """Two sections of cells of three classes, rows mixed; of epithelium some is a tumour of section 1."""
    rng = np.random.default_rng(4)
    kind = rng.integers(0, 3, CELLS)
    sample = rng.integers(0, 2, CELLS)
    rate = np.full((CELLS, len(GENES)), 0.3)
    for code in range(3):
        rate[kind == code, 3 * code : 3 * code + 3] = 6.0
    tumour = (kind == 2) & (sample == 1) & (rng.uniform(size=CELLS) < 0.6)
    rate[np.ix_(tumour, np.isin(GENES, ["P1", "P2", "X1", "X2", "N3", "N4"]))] = 5.0
    matrix = rng.poisson(rate)
    matrix[EMPTY] = 0
    given = np.array(CLASSES, object)[kind]
    given[[EMPTY, 30]] = None, np.nan
    counts = Counts(sp.csr_matrix(matrix.astype(np.float64)), GENES, tumour.astype(int))
    return counts, sample, given


def annotated(component, cells, seed=0):
    counts, sample, given = cells
    told = given if component.takes == "table" else None
    return component.annotate(counts, sample, told, np.random.default_rng(seed))


def some(cells, rows):
    counts, sample, given = cells
    part = Counts(counts.matrix[rows], counts.genes, counts.batch[rows])
    return part, np.unique(sample[rows], return_inverse=True)[1], given[rows]


def agree(component, one, other):
    """All chances the same; of one that clusters, most of the classes."""
    assert one.classes == other.classes
    if component.random:
        assert np.mean(one.best(0)[0] == other.best(0)[0]) > 0.9
    else:
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-9, equal_nan=True)


@NAMES
def test_contract(name, component, declares, cells, unchanged, twice):
    declares(registry, name, component)
    assert component.takes in ("counts", "table")
    counts, sample, given = cells
    unchanged(counts.matrix, counts.genes, counts.batch, sample, given)
    found = annotated(component, cells)
    assert type(found) is Annotation
    assert isinstance(found.classes, tuple)
    assert len(set(found.classes)) == len(found.classes)
    assert set(found.classes) >= set(CLASSES)
    assert found.probabilities.shape == (CELLS, len(found.classes))
    assert found.probabilities.dtype == np.float64
    known = np.isfinite(found.probabilities)
    assert (known.all(axis=1) == known.any(axis=1)).all()
    assert known.all(axis=1).mean() > 0.9
    told = found.probabilities[known.all(axis=1)]
    assert np.allclose(told.sum(axis=1), 1, atol=1e-9)
    assert (told >= 0).all()
    twice(lambda rng: annotated(component, cells, rng).probabilities)


@NAMES
def test_clear_cells_get_their_class(name, component, cells):
    found = annotated(component, cells)
    code, sure = found.best(0.0)
    names = np.array([*found.classes, ""])[code]
    lineage = np.where(names == NEOPLASTIC, "epithelial", names)
    known = cells[2] == lineage
    assert known.sum() >= 0.95 * (CELLS - 2)
    assert (sure[code >= 0] > 1 / 3).all()


@NAMES
def test_order_of_cells_does_not_matter(name, component, cells):
    order = np.random.default_rng(1).permutation(CELLS)
    counts, sample, given = cells
    moved = Counts(counts.matrix[order], GENES, counts.batch), sample[order], given[order]
    whole, found = annotated(component, cells), annotated(component, moved)
    agree(component, found, Annotation(whole.probabilities[order], whole.classes))


@NAMES
def test_order_of_genes_does_not_matter(name, component, cells):
    order = np.random.default_rng(1).permutation(len(GENES))
    counts, sample, given = cells
    moved = Counts(counts.matrix[:, order], GENES[order], counts.batch), sample, given
    agree(component, annotated(component, moved), annotated(component, cells))


@NAMES
@pytest.mark.parametrize("form", ["whole numbers", "single precision", "zeros stored", "not in order"])
def test_how_counts_are_stored_does_not_matter(name, component, cells, form):
    counts, sample, given = cells
    dense = counts.matrix.toarray()
    row, column = np.indices(dense.shape).reshape(2, -1)
    order = np.random.default_rng(0).permutation(dense.size)
    order = order[np.argsort(row[order], kind="stable")]
    full = (dense.ravel()[order], column[order], np.arange(CELLS + 1) * len(GENES))
    matrix = {
        "whole numbers": sp.csr_matrix(dense.astype(np.int32)),
        "single precision": sp.csr_matrix(dense.astype(np.float32)),
        "zeros stored": sp.csr_matrix((dense.ravel(), column, full[2]), dense.shape),
        "not in order": sp.csr_matrix(full, dense.shape),
    }[form]
    one, other = (
        annotated(component, (replace(counts, matrix=m), sample, given)) for m in (counts.matrix, matrix)
    )
    assert one.classes == other.classes
    assert np.allclose(one.probabilities, other.probabilities, atol=1e-6, equal_nan=True)


@NAMES
def test_batches_and_known_labels_play_no_part(name, component, cells):
    counts, sample, given = cells
    other = replace(counts, batch=np.arange(CELLS), truth=np.arange(CELLS) % 3)
    one, two = annotated(component, cells), annotated(component, (other, sample, given))
    assert one.probabilities.tobytes() == two.probabilities.tobytes()


@NAMES
def test_a_cell_of_which_nothing_is_known_gets_no_class(name, component, cells):
    """And without it the others have theirs all the same."""
    found = annotated(component, cells)
    assert found.best(0.9)[0][EMPTY] == -1
    rows = np.delete(np.arange(CELLS), EMPTY)
    agree(
        component,
        annotated(component, some(cells, rows)),
        Annotation(found.probabilities[rows], found.classes),
    )


@NAMES
@LITTLE
@pytest.mark.parametrize("rows", [np.array([3]), np.arange(2), np.arange(8), np.arange(40, 80)], ids=len)
def test_a_few_cells_are_enough(name, component, cells, rows):
    found = annotated(component, some(cells, rows))
    assert len(found.probabilities) == len(rows)
    assert np.allclose(found.probabilities.sum(axis=1), 1)


@NAMES
@LITTLE
def test_one_section_is_enough(name, component, cells):
    rows = np.flatnonzero(cells[1] == 1)
    found = annotated(component, some(cells, rows))
    assert (found.best(0)[0] >= 0).sum() >= len(rows) - 2


@NAMES
def test_numbers_of_the_sections_do_not_matter(name, component, cells):
    counts, sample, given = cells
    one, other = annotated(component, cells), annotated(component, (counts, 7 - 5 * sample, given))
    assert np.allclose(one.probabilities, other.probabilities, equal_nan=True)


@NAMES
def test_samples_or_types_that_do_not_fit_are_refused(name, component, cells):
    counts, sample, given = cells
    with pytest.raises(DataError, match=f"{name}: "):
        annotated(component, (counts, sample[:-1], given[:-1]))


@NAMES
def test_numbers_out_of_range_are_refused_by_name(name, component, refuses_nonsense):
    assert refuses_nonsense(registry, component, name)


@pytest.mark.parametrize("name", CLUSTERING)
def test_another_seed_gives_much_the_same_classes(name, component, cells):
    one, other = (annotated(component, cells, seed) for seed in (0, 1))
    assert np.mean(one.best(0)[0] == other.best(0)[0]) > 0.9


@pytest.mark.parametrize("name", READING)
def test_genes_that_are_no_markers_are_refused_with_the_share(name, component, cells):
    counts, sample, given = cells
    strangers = replace(counts, genes=np.char.add("Z", GENES))
    with pytest.raises(DataError) as caught:
        annotated(component, (strangers, sample, given))
    for kind in CLASSES:
        assert f"{kind} cannot be told: 0 of its 3 markers are among the genes" in str(caught.value)


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_values_that_are_no_counts_are_refused(name, component, cells, value):
    counts, sample, given = cells
    matrix = counts.matrix.copy()
    matrix.data[5] = value
    with pytest.raises(DataError, match="some values are n"):
        annotated(component, (replace(counts, matrix=matrix), sample, given))


@pytest.mark.parametrize("name", READING)
def test_its_identity_follows_the_file(name, make, file, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(FILE)
    assert make(name).fingerprint() == make(name, markers=str(other)).fingerprint()
    other.write_text(FILE.replace("I3", "I4"))
    assert make(name).fingerprint() != make(name, markers=str(other)).fingerprint()


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FILE.replace("  connective:", "  conective:"), "no class conective. Did you mean connective"),
        (FILE.replace("[I1, I2, I3]", "[I1, I2"), "markers markers.yaml: not YAML"),
        (FILE.replace("A book", "!!python/object/apply:os.mkdir [{made}]"), "not YAML: could not determine"),
        (FILE.replace("A book", "!!python/name:os.system "), "not YAML: could not determine a constructor"),
        (FILE + "surprise: 1\n", "surprise: Extra inputs are not permitted"),
        ("- a list", "it holds no mapping with organism, sources and classes"),
        ("", "it holds no mapping"),
        ("&a [*a]", "it holds no mapping"),
    ],
)  # fmt: skip
def test_what_is_no_marker_file_is_refused_and_runs_nothing(
    name, component, cells, file, tmp_path, text, told
):
    file.write_text(text.replace("{made}", str(tmp_path / "made")))
    with pytest.raises(DataError, match=told):
        annotated(component, cells)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", READING)
def test_a_marker_file_that_is_not_there_is_refused(name, make, cells, tmp_path):
    for markers, told in ((tmp_path / "no.yaml", "There is no marker file"), ("humen", "Did you mean human")):
        component = make(name, markers=str(markers))
        for act in (component.fingerprint, lambda component=component: annotated(component, cells)):
            with pytest.raises(WeightsError, match=told):
                act()


@pytest.mark.parametrize("name", [name for name in registry if hasattr(registry.find(name), "neoplastic")])
def test_the_lineage_is_the_same_without_neoplastic(name, make, cells):
    both, lineage = (annotated(make(name, neoplastic=told), cells) for told in (True, False))
    assert both.classes == (NEOPLASTIC, *lineage.classes)
    of = lineage.classes.index("epithelial")
    split, whole = both.probabilities, lineage.probabilities
    assert np.allclose(split[:, 0] + split[:, 1 + of], whole[:, of], equal_nan=True)
    others = np.arange(len(CLASSES)) != of
    assert np.allclose(split[:, 1:][:, others], whole[:, others], equal_nan=True)
    tumour = cells[0].batch == 1
    assert (both.best(0)[0][tumour] == 0).mean() > 0.9
    assert (both.best(0)[0][~tumour] == 0).mean() < 0.1
