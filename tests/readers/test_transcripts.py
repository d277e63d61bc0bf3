import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.readers import long_tables
from triptych.readers.transcripts import cell_rows, read_molecules

GENES = pd.Index(["A", "B", "C"])
LONG = 2317032900000100001  # more digits than float64 holds


def table(rng, n=200):
    """Molecules with a cell 0 … 4 (0: none) and names of which one is no gene."""
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 100, n),
            "y": rng.uniform(0, 50, n),
            "gene": np.array(["C", "A", "Blank-1", "B"])[rng.integers(4, size=n)],
            "cell": rng.integers(5, size=n),
        }
    )


def xenium(frame):
    ids = np.array(["UNASSIGNED", "aaaa-1", "bbbb-1", "cccc-1", "dddd-1"])
    return pd.DataFrame(
        {
            "transcript_id": 1,
            "cell_id": ids[frame["cell"]],
            "feature_name": frame["gene"],
            "x_location": frame["x"],
            "y_location": frame["y"],
            "z_location": 1.0,
            "qv": np.where(np.arange(len(frame)) % 5 == 0, 19.9, 20.0),
        }
    ), ids


def merscope(frame):
    ids = np.array([-1, *(LONG + np.arange(4))])
    return pd.DataFrame(
        {
            "barcode_id": 1,
            "global_x": frame["x"],
            "global_y": frame["y"],
            "x": 0.0,
            "y": 0.0,
            "gene": frame["gene"],
            "cell_id": ids[frame["cell"]],
        }
    ), ids.astype(str)


def cosmx(frame):
    ids = np.array(["", "1_1", "1_2", "1_3", "1_4"])
    return pd.DataFrame(
        {
            "fov": 1,
            "cell_ID": frame["cell"],
            "cell": [f"c_1_1_{cell}" for cell in frame["cell"]],
            "x_global_px": frame["x"],
            "y_global_px": frame["y"],
            "target": frame["gene"],
        }
    ), ids


def plain(frame):
    ids = np.array(["-1", "1", "2", "3", "4"])
    return frame.assign(cell=ids[frame["cell"]].astype(int)), ids


KINDS = {"xenium": xenium, "merscope": merscope, "cosmx": cosmx, "plain": plain}


def write(path, frame):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=path.name.startswith("merscope"))
    return path


@pytest.mark.parametrize("piece", [7, 1 << 20])
@pytest.mark.parametrize("end", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_a_loop(tmp_path, rng, monkeypatch, kind, end, piece):
    monkeypatch.setattr(long_tables, "PIECE", piece)
    monkeypatch.setattr(long_tables.text_pieces, "__defaults__", (piece,))
    whole = table(rng)
    frame, ids = KINDS[kind](whole)
    found = read_molecules(write(tmp_path / f"{kind}{end}", frame), GENES)
    good = [kind != "xenium" or i % 5 > 0 for i in range(len(whole))]
    rows = [i for i, gene in enumerate(whole["gene"]) if gene in GENES and good[i]]
    assert found.um.dtype == np.float32
    assert found.gene.dtype == np.int32
    np.testing.assert_allclose(found.um, whole.loc[rows, ["x", "y"]], rtol=1e-6)
    assert [GENES[gene] for gene in found.gene] == list(whole.loc[rows, "gene"])
    cells = [None if whole["cell"][i] == 0 else ids[whole["cell"][i]] for i in rows]
    assert [None if pd.isna(cell) else cell for cell in found.cell] == cells
    assert found.others == (whole["gene"] == "Blank-1").sum()
    assert found.poor == sum(gene in GENES and not ok for gene, ok in zip(whole["gene"], good, strict=True))


def test_pixels_are_scaled_where_the_places_are(tmp_path, rng):
    frame, _ = cosmx(table(rng))
    path = write(tmp_path / "t.csv", frame)
    plain_px, um = read_molecules(path, GENES), read_molecules(path, GENES, mpp=0.12)
    np.testing.assert_allclose(um.um, plain_px.um * 0.12, rtol=1e-6)
    frame, _ = xenium(table(rng))
    path = write(tmp_path / "x.csv", frame)
    np.testing.assert_array_equal(read_molecules(path, GENES, mpp=0.12).um, read_molecules(path, GENES).um)


@pytest.mark.parametrize("gene", ["gene", "feature_name"])
def test_without_cells(tmp_path, rng, gene):
    frame = table(rng).drop(columns="cell").rename(columns={"gene": gene})
    assert read_molecules(write(tmp_path / "t.csv", frame), GENES).cell is None
    frame = table(rng).rename(columns={"cell": "cell_id", "gene": gene})
    assert read_molecules(write(tmp_path / "u.csv", frame), GENES).cell is not None


def test_whole_numbers_beside_missing_ones_keep_their_digits(tmp_path, rng):
    frame, _ = merscope(table(rng))
    frame["cell_id"] = frame["cell_id"].astype("Int64").where(frame["cell_id"] > 0)
    found = read_molecules(write(tmp_path / "t.parquet", frame), GENES)
    assert set(found.cell.dropna()) <= {str(LONG + i) for i in range(4)}
    frame["cell_id"] = np.where(frame["cell_id"].isna(), np.nan, 12.0)
    found = read_molecules(write(tmp_path / "t.parquet", frame), GENES)
    assert set(found.cell.dropna()) == {"12"}


# --- what is refused


def test_other_columns(tmp_path):
    path = write(tmp_path / "t.csv", pd.DataFrame({"x": [1.0], "why": [2.0], "gene": ["A"]}))
    with pytest.raises(
        DataError, match="t.csv is no table of molecules: it has the columns x, why, gene, not he_x, he_y, "
    ):
        read_molecules(path, GENES)


def test_no_known_gene(tmp_path, rng):
    path = write(tmp_path / "t.csv", table(rng, 20))
    with pytest.raises(
        DataError,
        match="none of the 20 molecules of t.csv can be used: its names are .*, the genes of the table X",
    ):
        read_molecules(path, pd.Index(["X"]))
    write(path, table(rng, 20).iloc[:0])
    with pytest.raises(DataError, match="none of the 0 molecules of t.csv can be used"):
        read_molecules(path, GENES)


def test_no_good_molecule(tmp_path, rng):
    frame, _ = xenium(table(rng, 20))
    path = write(tmp_path / "t.csv", frame.assign(qv=3.0))
    with pytest.raises(DataError, match="the [0-9]+ of a gene of the table have a quality below 20"):
        read_molecules(path, GENES)


@pytest.mark.parametrize("value", [np.nan, np.inf, "left"])
def test_places_that_are_none(tmp_path, rng, value):
    frame = table(rng, 20).assign(gene="A").astype({"x": object})
    frame.loc[[3, 5], "x"] = value
    with pytest.raises(DataError, match="2 of the 20 molecules of t.csv have no finite coordinates"):
        read_molecules(write(tmp_path / "t.csv", frame), GENES)


def test_cells_that_are_no_numbers(tmp_path, rng):
    frame = cosmx(table(rng, 20))[0].assign(target="A").astype({"cell_ID": object})
    frame.loc[7, "cell_ID"] = "x"
    with pytest.raises(DataError, match="1 lines of t.csv have no whole numbers fov and cell_ID, .* line 9"):
        read_molecules(write(tmp_path / "t.csv", frame), GENES)


@pytest.mark.parametrize("end", [".csv", ".csv.gz", ".parquet"])
def test_a_file_that_is_cut_short(tmp_path, rng, end):
    path = write(tmp_path / f"t{end}", table(rng))
    whole = path.read_bytes()
    if end == ".csv":
        path.write_bytes(whole[: whole.rfind(b",", 0, whole.rfind(b","))])  # before the gene of the last line
        message = "1 of the 200 molecules of t.csv have no name of a gene; the file may be cut short"
    else:
        path.write_bytes(whole[: len(whole) // 2])
        message = f"the file t{end} is cut short or damaged"
    with pytest.raises(DataError, match=message):
        read_molecules(path, GENES)
    if end == ".csv.gz":
        path.write_bytes(gzip.compress(gzip.decompress(whole)))
        assert len(read_molecules(path, GENES).gene)


def test_a_file_that_is_not_there(tmp_path):
    for end in (".csv", ".parquet"):
        with pytest.raises(DataError, match=f"the file t{end} is missing"):
            read_molecules(tmp_path / f"t{end}", GENES)


# --- cells as rows


def test_rows_of_cells():
    ids = pd.Categorical(["b", None, "z", "a", "b"])
    assert cell_rows(pd.Index(["a", "b", "c"]), "s", ids).tolist() == [1, -1, -1, 0, 1]
    study = pd.Index(["s_a", "t_b", "s_b", "t_a"])  # of several samples
    assert cell_rows(study, "s", ids).tolist() == [2, -1, -1, 0, 2]
    assert cell_rows(study, "t", ids).tolist() == [1, -1, -1, 3, 1]
    assert cell_rows(study[study.str.startswith("t")], "t", ids).tolist() == [0, -1, -1, 1, 0]
    assert cell_rows(study, "u", ids).tolist() == [-1] * 5
    assert cell_rows(study, "s", ids).dtype == np.int64


def test_rows_of_cells_that_are_numbers():
    ids = pd.Categorical.from_codes([1, 0, -1], pd.Index([7, 8]))
    assert cell_rows(pd.Index(["7", "8"]), "s", ids).tolist() == [1, 0, -1]


# --- real data


@pytest.fixture
def data():
    folder = os.environ.get("TRIPTYCH_DATA")
    if not folder:
        pytest.skip("TRIPTYCH_DATA is not set")
    return Path(folder)


@pytest.mark.data
def test_xenium_lung(data):
    path = data / "xenium_lung" / "transcripts.parquet"
    frame = pd.read_parquet(path)
    genes = pd.Index(sorted(set(frame["feature_name"].astype(str))))
    found = read_molecules(path, genes)
    good = frame["qv"] >= 20
    assert len(frame) == 10_000
    assert len(found.gene) == int(good.sum())
    assert found.poor == int((~good).sum())
    np.testing.assert_array_equal(found.um, frame.loc[good, ["x_location", "y_location"]])
    inside = good & (frame["cell_id"] != "UNASSIGNED")
    assert list(found.cell.dropna()) == list(frame.loc[inside, "cell_id"])


@pytest.mark.data
def test_xenium_breast(data):
    path = data / "xenium_breast" / "janesick_rep1_transcripts.csv.gz"
    frame = pd.read_csv(path)
    found = read_molecules(path, pd.Index(["LUM", "ERBB2"]))
    assert len(frame) == 79_576
    assert len(found.gene) == int(frame["feature_name"].isin(["LUM", "ERBB2"]).sum())
    assert found.others == len(frame) - len(found.gene)
    assert found.cell is None


@pytest.mark.data
def test_merscope(data):
    path = data / "merscope" / "detected_transcripts.csv.gz"
    frame = pd.read_csv(path, index_col=0)
    real = [name for name in frame["gene"].unique() if not name.startswith("Blank")]
    found = read_molecules(path, pd.Index(real))
    assert len(frame) == 5936
    assert found.others == int(frame["gene"].str.startswith("Blank").sum())
    kept = frame[frame["gene"].isin(real)]
    np.testing.assert_allclose(found.um, kept[["global_x", "global_y"]], rtol=1e-6)
