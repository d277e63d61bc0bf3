import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.reference import read_reference

COUNTS = np.array([[0, 3, 1], [2, 0, 0], [4, 0, 5], [0, 0, 1], [1, 1, 1]])


@pytest.fixture
def write(tmp_path):
    """Five cells of two types and three genes; parts may be replaced."""

    def make(x=None, *, obs=None, genes=("A", "B", "C"), raw=None, layer=None, var=None):
        obs = {"cell_type": ["T", "B", "B", "T", "B"]} if obs is None else obs
        index = [f"c{i}" for i in range(5)]
        table = ad.AnnData(
            X=sp.csr_matrix(COUNTS.astype(np.float32)) if x is None else x,
            obs=pd.DataFrame(obs, index=index),
            var=pd.DataFrame(var or {}, index=list(genes)),
        )
        if raw is not None:
            table.raw = ad.AnnData(raw, obs=table.obs, var=pd.DataFrame(index=["A", "B", "C", "D"]))
        if layer is not None:
            table.layers["counts"] = layer
        path = tmp_path / "ref.h5ad"
        table.write_h5ad(path)
        return path

    return make


def test_a_plain_reference(write):
    found = read_reference(write())
    np.testing.assert_array_equal(found.matrix.toarray(), COUNTS)
    assert isinstance(found.matrix, sp.csr_matrix)
    assert found.matrix.dtype == np.int32
    assert found.names == ("B", "T")
    np.testing.assert_array_equal(found.types, [1, 0, 0, 1, 0])
    assert list(found.genes) == ["A", "B", "C"]
    assert found.genes.dtype.kind == "U"
    np.testing.assert_array_equal(found.batch, 0)


@pytest.mark.parametrize("column", ["cell_type", "celltype", "CellType", "Cell Type", "annotation", "leiden"])
@pytest.mark.parametrize("categorical", [False, True])
def test_usual_columns(write, column, categorical):
    kinds = pd.Index(["T", "B", "B", "T", "B"])
    kinds = pd.Categorical(kinds, ["X", "T", "B"]) if categorical else kinds
    found = read_reference(write(obs={"n": np.arange(5.0), column: kinds}))
    assert found.names == ("B", "T")  # a category without cells is no type


def test_columns_by_name_go_before_usual_ones(write):
    obs = {"cell_type": list("ababa"), "fine": list("xxyyy"), "batch": list("11122"), "chip": list("qqppp")}
    found = read_reference(write(obs=obs), types="fine", batch="chip")
    assert found.names == ("x", "y")
    np.testing.assert_array_equal(found.batch, [1, 1, 0, 0, 0])
    found = read_reference(write(obs=obs))
    assert found.names == ("a", "b")
    np.testing.assert_array_equal(found.batch, [0, 0, 0, 1, 1])


def test_types_that_are_numbers_of_clusters(write):
    assert read_reference(write(obs={"leiden": [10, 2, 2, 10, 10]})).names == ("10", "2")
    with pytest.raises(DataError, match="column annotation holds numbers, not types"):
        read_reference(write(obs={"annotation": [0.5, 1, 1, 2, 2]}))


def test_counts_come_from_the_first_place_that_has_them(write):
    half = sp.csr_matrix(COUNTS / 2)
    more = np.column_stack([COUNTS + 1, COUNTS[:, 0]])
    found = read_reference(write(half, raw=sp.csr_matrix(more)))
    np.testing.assert_array_equal(found.matrix.toarray(), more)
    assert list(found.genes) == ["A", "B", "C", "D"]
    found = read_reference(write(half, raw=sp.csr_matrix(more), layer=sp.csc_matrix(COUNTS)))
    np.testing.assert_array_equal(found.matrix.toarray(), COUNTS)
    np.testing.assert_array_equal(read_reference(write(COUNTS.astype(float))).matrix.toarray(), COUNTS)


def test_no_counts(write):
    with pytest.raises(DataError, match="no raw counts.*raw.X and X have values that are no whole numbers"):
        read_reference(write(sp.csr_matrix(COUNTS / 2), raw=np.full((5, 4), 0.5)))


def test_all_faults_together(write):
    bad = COUNTS.astype(float)
    bad[1, 0], bad[2, 2], bad[4, 1] = -1, 2.5, np.nan
    obs = {"cell_typ": list("abaab"), "batch": ["1", None, "1", "2", "2"]}
    path = write(layer=bad, obs=obs, genes=("A", "B", "A"))
    with pytest.raises(DataError) as error:
        read_reference(path, types="cell_type")
    for part in (
        "6 faults", "no column cell_type with the types. Did you mean cell_typ?", "1 cells have no batch",
        "1 gene names are there more than once: A", "1 count is negative, first -1 at c1, gene A",
        "1 count is fractional", "1 count is missing",
    ):  # fmt: skip
        assert part in str(error.value), part


def test_columns_that_are_not_there(write):
    with pytest.raises(DataError, match="no column of types.*There is: n. Name the one"):
        read_reference(write(obs={"n": np.arange(5.0)}))
    with pytest.raises(DataError, match="no column chip with the batches. There is: cell_type"):
        read_reference(write(), batch="chip")


def test_genes_of_one_symbol_with_ids(write):
    found = read_reference(write(genes=("A", "B", "A"), var={"gene_ids": ["E1", "E2", "E3"]}))
    assert list(found.genes) == ["A", "B", "A-1"]


def test_cells_without_a_type_are_left_out_with_a_word(write):
    obs = {"cell_type": ["T", "NA", "B", " T", None], "batch": list("21222")}
    with pytest.raises(DataError, match="has 1 types of at least 2 cells"):
        read_reference(write(obs=obs))
    obs = {"cell_type": ["T", "NA", "B", " T", "B"], "batch": list("21222")}
    with pytest.warns(TriptychWarning, match="of 5 cells some are left out: 1 have no type"):
        found = read_reference(write(obs=obs))
    np.testing.assert_array_equal(found.matrix.toarray(), COUNTS[[0, 2, 3, 4]])
    np.testing.assert_array_equal(found.types, [1, 0, 1, 0])
    np.testing.assert_array_equal(found.batch, 0)


def test_types_of_one_cell_are_left_out_with_a_word(write):
    with pytest.warns(TriptychWarning, match=r"1 are the only ones of their type \(NK\)"):
        found = read_reference(write(obs={"cell_type": ["T", "NK", "B", "T", "B"]}))
    assert found.names == ("B", "T")
    np.testing.assert_array_equal(found.matrix.toarray(), COUNTS[[0, 2, 3, 4]])


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"the file ref.h5ad is missing"):
        read_reference(tmp_path / "ref.h5ad")
    (tmp_path / "text.h5ad").write_text("no h5ad")
    with pytest.raises(DataError, match=r"text.h5ad cannot be read"):
        read_reference(tmp_path / "text.h5ad")
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["matrix"] = np.zeros(3)
    with pytest.raises(DataError, match="no AnnData; it holds matrix"):
        read_reference(tmp_path / "other.h5ad")
    with h5py.File(tmp_path / "odd.h5ad", "w") as file:
        for part in ("obs", "var"):
            file[part] = np.zeros(3)
            file[part].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(DataError, match="odd.h5ad: the file is no AnnData .its obs is no table"):
        read_reference(tmp_path / "odd.h5ad")


@pytest.mark.data
def test_the_real_reference(real_data):
    found = read_reference(real_data / "lymph_visium_ref" / "sc_ref.h5ad")
    assert found.matrix.shape == (330, 10237)
    assert len(found.names) == 11
    np.testing.assert_array_equal(np.bincount(found.types), 30)
