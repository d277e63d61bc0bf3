import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers import cosmx_counts
from triptych.readers.cosmx_counts import read_expression
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read

MPP = 0.12028
FOVS, CELLS = (2, 3, 5, 6), 9
EXPR, META, FIELDS = "_exprMat_file.csv", "_metadata_file.csv", "_fov_positions_file.csv"
CONTROLS = ("NegPrb01", "Negative02", "SystemControl3", "FalseCode4")


def fields():
    """Fields of view on a grid: x and y in px, shifted against mm."""
    at = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * 4256.0
    return at + np.array([-470_000, 7_950]), at * MPP / 1000 + np.array([3.2, -1.5])


def write(folder, name="S1", *, new=True, gz=False):
    """The flat files of a slide as of the first public release, or as AtoMx 1.3 and later write them."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)
    fov, cell = (grid.ravel() for grid in np.meshgrid(FOVS, np.arange(CELLS), indexing="ij"))
    names = [*(f"G{i}" for i in range(55)), *CONTROLS]
    counts = pd.DataFrame(rng.poisson(0.4, (len(fov), len(names))), columns=names)
    counts.insert(0, "fov", fov)
    counts.insert(1, "cell_ID", cell)
    inside = cell > 0
    px, mm = fields()
    local = rng.uniform(0, 4256, (len(fov), 2))
    both = local + px[np.searchsorted(FOVS, fov)]
    meta = pd.DataFrame({"fov": fov, "Area": rng.integers(900, 9000, len(fov))})
    meta["CenterX_local_px"], meta["CenterY_local_px"] = local.round().T
    meta["CenterX_global_px"], meta["CenterY_global_px"] = both.T
    meta["Mean.DAPI"] = rng.integers(0, 900, len(fov))
    meta.insert(1 if not new else len(meta.columns), "cell_ID", cell)
    if new:
        counts.insert(2, "cell", [f"c_1_{f}_{c}" for f, c in zip(fov, cell, strict=True)])
        meta["cell"], meta["version"] = counts["cell"], "v6"
        meta["Area.um2"] = (meta["Area"] * MPP**2).round(4)
    end = ".gz" if gz else ""
    counts.to_csv(folder / f"{name}{EXPR}{end}", index=False, quoting=0 if new else 2)
    meta[inside].iloc[::-1].to_csv(folder / f"{name}{META}{end}", index=False)
    places = {"FOV" if new else "fov": FOVS, "x_global_px": px[:, 0], "y_global_px": px[:, 1]}
    if new:
        places |= {"x_global_mm": mm[:, 0], "y_global_mm": mm[:, 1]}
    pd.DataFrame(places).to_csv(folder / f"{name}{FIELDS}{end}", index=False)
    return counts[inside].reset_index(drop=True), meta[inside].reset_index(drop=True)


@pytest.fixture
def slide(tmp_path):
    write(tmp_path / "S1")
    return tmp_path / "S1"


def change(path, edit):
    edit(pd.read_csv(path)).to_csv(path, index=False)


def about(table):
    return table.uns["triptych"]["samples"].iloc[0]


NO_SCALE = pytest.warns(
    TriptychWarning, match="S1: S1_fov_positions_file.csv, S1_metadata_file.csv give no len"
)


# --- what is read


@pytest.mark.parametrize(("new", "gz"), [(True, False), (True, True), (False, True)])
def test_slots(tmp_path, new, gz):
    counts, meta = write(tmp_path / "S1", new=new, gz=gz)
    if new:
        table = read(tmp_path / "S1")
    else:
        with pytest.warns(TriptychWarning, match="S1: S1_fov_.* manifest gives mpp"):
            table = read(tmp_path / "S1")
    assert table.shape == (32, 55)  # four of nine cells are number 0; no controls
    assert list(table.obs_names) == [f"{f}_{c}" for f in FOVS for c in range(1, CELLS)]
    assert list(table.var_names) == [f"G{i}" for i in range(55)]
    assert np.array_equal(table.layers["counts"].toarray(), counts[list(table.var_names)])
    assert np.allclose(table.obsm["spatial"], meta[["CenterX_global_px", "CenterY_global_px"]], rtol=1e-15)
    assert table.obsm["spatial"].min() < 0  # kept as it is
    assert list(table.obs["fov"]) == list(np.repeat(FOVS, CELLS - 1))
    assert list(table.obs["Mean.DAPI"]) == list(meta["Mean.DAPI"])
    assert not {"cell_ID", "cell", "Area", "Area.um2", "CenterX_global_px"} & set(table.obs)
    if new:
        assert about(table).mpp == pytest.approx(MPP)
        assert np.allclose(table.obsm["spatial_um"], table.obsm["spatial"] * MPP)
        assert np.allclose(table.obs["cell_area_um2"], meta["Area"] * MPP**2, atol=1e-4)
    else:
        assert np.isnan(about(table).mpp)
        assert "spatial_um" not in table.obsm
        assert "cell_area_um2" not in table.obs


@pytest.mark.slow
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.filterwarnings("ignore::triptych.core.errors.TriptychWarning")
def test_the_same_as_squidpy(tmp_path, new):
    squidpy = pytest.importorskip("squidpy")
    write(tmp_path / "S1", new=new)
    for file in (EXPR, META):  # squidpy takes every column of the counts for a gene
        change(tmp_path / "S1" / f"S1{file}", lambda f: f.drop(columns="cell", errors="ignore"))
    theirs = squidpy.read.nanostring(tmp_path / "S1", counts_file=f"S1{EXPR}", meta_file=f"S1{META}")
    ours = read(tmp_path / "S1")
    theirs = theirs[["_".join(reversed(name.split("_"))) for name in ours.obs_names], ours.var_names]
    assert np.array_equal(ours.layers["counts"].toarray(), theirs.X.toarray())
    assert np.allclose(ours.obsm["spatial"], theirs.obsm["spatial_fov"])


def test_pieces_give_the_same_as_the_whole(slide, monkeypatch):
    whole, ids, genes = read_expression(slide / f"S1{EXPR}")
    assert sp.issparse(whole)
    assert whole.dtype == np.int32
    monkeypatch.setattr(cosmx_counts, "VALUES", 62 * 5)  # five lines at a time, across the fields
    parts, ids_of_parts, genes_of_parts = read_expression(slide / f"S1{EXPR}")
    assert (whole != parts).nnz == 0
    assert list(ids) == list(ids_of_parts)
    assert list(genes) == list(genes_of_parts)


def test_files_beside_and_samples(tmp_path):
    for name in ("S1", "S2"):
        write(tmp_path / "flat" / name, name)
        (tmp_path / "flat" / name / f"{name}_tx_file.csv.gz").write_bytes(b"")
        (tmp_path / "flat" / name / f"{name}-polygons.csv").write_bytes(b"")
    table = read(tmp_path / "flat")
    assert list(table.obs["sample"].cat.categories) == ["S1", "S2"]
    assert table.obs_names[0] == "S1_2_1"
    rows = table.uns["triptych"]["samples"]
    assert rows.transcripts["S2"] == str((tmp_path / "flat/S2/S2_tx_file.csv.gz").resolve())
    assert rows.cell_boundaries["S1"] == str((tmp_path / "flat/S1/S1-polygons.csv").resolve())
    assert read(tmp_path / "flat", ReadOptions(samples=("S2",))).n_obs == 32


def test_two_slides_in_one_folder_and_one_name_in_two(tmp_path):
    write(tmp_path / "one", "A")
    write(tmp_path / "one", "B")
    assert set(read(tmp_path / "one").obs["sample"]) == {"A", "B"}
    write(tmp_path / "two" / "first" / "x-Flat_files_and_images", "A")
    write(tmp_path / "two" / "second" / "x-Flat_files_and_images", "A")
    assert set(read(tmp_path / "two").obs["sample"]) == {"first_A", "second_A"}


def test_columns_of_several_types_can_be_written(slide, tmp_path):
    flag, mixed = [True, np.nan] * 16, ["a", "1"] * 16
    change(slide / f"S1{META}", lambda f: f.assign(flag=flag, mixed=mixed, empty=np.nan, cell_type="T"))
    table = read(slide)
    table.write_h5ad(tmp_path / "table.h5ad")
    assert table.obs["flag"].dtype == "boolean"
    assert set(table.obs["mixed"]) == {"a", "1"}
    assert "empty" not in table.obs
    assert set(table.obs.truth) == {"T"}


# --- the scale


def positions(slide, edit):
    change(slide / f"S1{FIELDS}", edit)
    change(slide / f"S1{META}", lambda f: f.drop(columns="Area.um2"))


@pytest.mark.parametrize("pair", [("X_mm", "Y_mm"), ("x_mm", "y_mm")])
def test_other_names_of_mm(slide, pair):
    names = dict(zip(("x_global_mm", "y_global_mm"), pair, strict=True))
    positions(slide, lambda f: f.rename(columns=names))
    table = read(slide)
    assert about(table).mpp == pytest.approx(MPP)
    assert np.all(table.obs["cell_area_um2"] > 0)  # from Area and the scale


def test_fields_that_are_turned_and_mirrored(slide):
    positions(slide, lambda f: f.assign(x_global_mm=f["y_global_mm"], y_global_mm=-f["x_global_mm"]))
    assert about(read(slide)).mpp == pytest.approx(MPP)


def test_fields_in_a_row(slide):
    positions(slide, lambda f: f.iloc[:2])
    assert about(read(slide)).mpp == pytest.approx(MPP)


def test_one_field_tells_nothing(slide):
    positions(slide, lambda f: f.iloc[:1])
    with NO_SCALE:
        assert np.isnan(about(read(slide)).mpp)


def test_the_scale_of_areas(slide):
    (slide / f"S1{FIELDS}").unlink()
    assert about(read(slide)).mpp == pytest.approx(MPP, rel=1e-4)


def test_axes_of_two_scales(slide):
    positions(slide, lambda f: f.assign(x_global_mm=f["x_global_mm"] * 1.05))
    with pytest.raises(DataError, match="mm and px of S1_fov_positions_file.csv have no one scale"):
        read(slide)
    change(slide / f"S1{FIELDS}", lambda f: f.iloc[[0, 3]])  # on a diagonal
    with pytest.raises(DataError, match="have no one scale: 0.126.* µm per px in x, 0.120.* in y"):
        read(slide)


def test_axes_that_agree_within_a_hundredth(slide):
    positions(slide, lambda f: f.assign(x_global_mm=f["x_global_mm"] * 1.008))
    assert about(read(slide)).mpp == pytest.approx(MPP * 1.004, rel=1e-3)


def test_areas_of_two_scales(slide):
    (slide / f"S1{FIELDS}").unlink()
    change(slide / f"S1{META}", lambda f: f.assign(**{"Area.um2": f["Area.um2"].where(f["fov"] > 2, 90)}))
    with pytest.raises(DataError, match="Area and Area.um2 of S1_metadata_file.csv have no one scale: 0"):
        read(slide)


def test_a_manifest_gives_the_scale(tmp_path):
    write(tmp_path / "S1", new=False)
    (tmp_path / "study.yaml").write_text("samples: {S1: {path: S1, mpp: 0.18}}")
    with NO_SCALE:
        table = read(tmp_path / "study.yaml")
    assert about(table).mpp == 0.18
    assert np.allclose(table.obsm["spatial_um"], table.obsm["spatial"] * 0.18)


# --- what is refused


@pytest.mark.parametrize("file", [EXPR, META])
def test_missing_files(slide, file):
    (slide / f"S1{file}").unlink()
    with pytest.raises(DataError, match=f"the file S1{file} .or .csv.gz. is missing"):
        read(slide)


@pytest.mark.parametrize(("file", "column"), [(EXPR, "cell_ID"), (META, "fov"), (META, "CenterY_global_px")])
def test_missing_columns(slide, file, column):
    change(slide / f"S1{file}", lambda f: f.drop(columns=column))
    with pytest.raises(DataError, match=f"the file S1{file} has no column {column}; it has"):
        read(slide)


def test_no_genes(slide):
    change(slide / f"S1{EXPR}", lambda f: f[["fov", "cell_ID", "cell", *CONTROLS]])
    with pytest.raises(DataError, match=f"S1{EXPR} has no column of a gene"):
        read(slide)


@pytest.mark.parametrize("file", [EXPR, META])
def test_cells_that_are_there_twice(slide, file):
    change(slide / f"S1{file}", lambda f: pd.concat([f, f.iloc[[1, 2]]]))
    with pytest.raises(DataError, match=f"2 cells are there more than once in S1{file}: "):
        read(slide)


@pytest.mark.parametrize("file", [EXPR, META])
@pytest.mark.parametrize("value", ["", "x", "1.5"])
def test_ids_that_are_no_numbers(slide, file, value, monkeypatch):
    monkeypatch.setattr(cosmx_counts, "VALUES", 62 * 5)
    change(slide / f"S1{file}", lambda f: f.astype({"cell_ID": object}).pipe(put, 12, value))
    with pytest.raises(DataError, match=f"1 lines of S1{file} have no whole numbers .* the first is line 14"):
        read(slide)


def put(frame, row, value):
    frame.loc[row, "cell_ID"] = value
    return frame


def test_coordinates_that_are_no_numbers(slide):
    change(
        slide / f"S1{META}", lambda f: f.assign(CenterX_global_px=f["CenterX_global_px"].where(f.index > 1))
    )
    with pytest.raises(DataError, match="2 observations have no finite coordinates: 6_7, 6_8"):
        read(slide)


def test_counts_that_are_none(slide):
    change(slide / f"S1{EXPR}", lambda f: f.astype({"G1": object, "G2": float}).pipe(spoil))
    with pytest.raises(DataError) as error:
        read(slide)
    assert "1 count is missing (NaN or no number), first nan at 2_1, gene G1" in str(error.value)
    assert "1 count is negative, first -3 at 2_2, gene G0" in str(error.value)
    assert "1 count is fractional, first 0.5 at 2_3, gene G2" in str(error.value)


def spoil(frame):
    frame.loc[1, "G1"], frame.loc[2, "G0"], frame.loc[3, "G2"] = "many", -3, 0.5
    return frame


def test_a_gene_that_is_there_twice(slide):
    path = slide / f"S1{EXPR}"
    path.write_text(path.read_text().replace(",G7,", ",G6,", 1))
    with pytest.raises(DataError, match="1 gene names are there more than once: G6"):
        read(slide)


def test_matrix_and_metadata_disagree(slide):
    change(slide / f"S1{META}", lambda f: f.iloc[3:])
    with pytest.warns(
        TriptychWarning, match=f"S1: left out are 3 of 32 cells of S1{EXPR} that have no place"
    ):
        assert read(slide).n_obs == 29
    change(slide / f"S1{META}", lambda f: f.assign(fov=77))
    change(slide / f"S1{META}", lambda f: f.assign(cell_ID=range(1, len(f) + 1)))
    with pytest.raises(DataError, match=f"no cell is both in S1{EXPR} .2_1, 2_2 .* and in S1{META} .77_1"):
        read(slide)


def test_no_cells(slide):
    change(slide / f"S1{EXPR}", lambda f: f[f["cell_ID"] == 0])
    with pytest.raises(DataError, match=f"no cell is both in S1{EXPR} .nothing. and in S1{META}"):
        read(slide)
    change(slide / f"S1{EXPR}", lambda f: f.iloc[:0])
    with pytest.raises(DataError, match=f"no cell is both in S1{EXPR} .nothing. and in S1{META}"):
        read(slide)
    change(slide / f"S1{META}", lambda f: f.iloc[:0])
    with pytest.raises(DataError, match=f"no cell is both in S1{EXPR} .nothing. and in S1{META} .nothing."):
        read(slide)


def test_files_that_are_cut_short(tmp_path):
    write(tmp_path / "S1", gz=True)
    for file in (EXPR, META, FIELDS):
        path = tmp_path / "S1" / f"S1{file}.gz"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=f"S1{file}.gz is cut short or damaged"):
            read(tmp_path / "S1")
        path.write_bytes(whole)


def lines(slide, edit):
    path = slide / f"S1{EXPR}"
    path.write_text("\n".join(edit(path.read_text().splitlines())) + "\n")


def test_lines_of_other_lengths(slide):
    path = slide / f"S1{EXPR}"
    whole = path.read_text()
    lines(slide, lambda rows: [*rows[:4], rows[4].rpartition(",")[0], *rows[5:]])
    with pytest.raises(DataError, match=f"line 5 of S1{EXPR} ends before the last of its 62 columns"):
        read(slide)
    path.write_text(whole)
    lines(slide, lambda rows: [*rows[:4], rows[4] + ",1", *rows[5:]])
    with pytest.raises(DataError, match=f"S1{EXPR} is no table .*line 5, saw 63"):
        read(slide)
    path.write_text(whole)
    lines(slide, lambda rows: [rows[0], *(row + ",1" for row in rows[1:])])
    with pytest.raises(DataError, match=f"the lines of S1{EXPR} have more values than its header"):
        read(slide)
    path.write_text("")
    with pytest.raises(DataError, match=f"S1{EXPR} is no table"):
        read(slide)


def test_all_faults_of_all_slides(tmp_path):
    for name in ("S1", "S2"):
        write(tmp_path / name, name)
    (tmp_path / "S1" / f"S1{META}").unlink()
    change(tmp_path / "S2" / f"S2{EXPR}", lambda f: f.assign(G2=-1))
    with pytest.raises(DataError) as error:
        read(tmp_path)
    assert "S1: the file S1_metadata_file.csv" in str(error.value)
    assert "S2: 32 counts are negative" in str(error.value)
