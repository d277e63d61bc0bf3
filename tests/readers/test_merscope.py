import gzip
import json
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.core.errors import DataError, MissingExtraError, TriptychWarning
from triptych.readers import merscope_polygons
from triptych.readers.affine import transform
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.readers.transcripts import read_molecules

TRANSFORM = "micron_to_mosaic_pixel_transform.csv"
T = np.array([[9.26, 0.0, 40.0], [0.0, 9.259, 60.0], [0.0, 0.0, 1.0]])
FIRST = 2317032900000100001  # more digits than float64 holds


def write_tables(folder, cells=30, *, gz=False):
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    ids = pd.Index(FIRST + np.arange(cells), name="cell")
    names = [*(f"G{i}" for i in range(56)), "Blank-1", "Blank-22"]
    counts = pd.DataFrame(rng.poisson(0.5, (cells, len(names))).astype(float), index=ids, columns=names)
    meta = pd.DataFrame(
        {
            "fov": np.nan,
            "volume": rng.uniform(100, 900, cells),
            "center_x": rng.uniform(-2, 200, cells),
            "center_y": rng.uniform(-2, 200, cells),
            "min_x": 0.0,
            "max_x": 1.0,
            "min_y": 0.0,
            "max_y": 1.0,
            "transcript_count": counts.sum(axis=1).to_numpy(int),
        },
        index=pd.Index(ids, name="EntityID"),
    )
    end = ".csv.gz" if gz else ".csv"
    counts.to_csv(folder / f"cell_by_gene{end}")
    meta.iloc[::-1].to_csv(folder / f"cell_metadata{end}")
    (folder / "images").mkdir(exist_ok=True)
    np.savetxt(folder / "images" / TRANSFORM, T)
    return counts, meta


@pytest.fixture
def region(tmp_path):
    write_tables(tmp_path / "region_0")
    return tmp_path / "region_0"


def change(path, edit):
    edit(pd.read_csv(path, index_col=0)).to_csv(path)


def wkb(*polygons, big=False):
    """MultiPolygon of rings, each closed; the first ring of a polygon is its outside."""
    order = ">" if big else "<"
    start = bytes([0 if big else 1])
    body = b""
    for rings in polygons:
        body += start + struct.pack(f"{order}II", 3, len(rings))
        for ring in rings:
            closed = [*ring, ring[0]]
            flat = [value for point in closed for value in point]
            body += struct.pack(f"{order}I{len(flat)}d", len(closed), *flat)
    return start + struct.pack(f"{order}II", 6, len(polygons)) + body


def square(x, y, side):
    half = side / 2
    return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]


def write_polygons(folder, name="cell_boundaries.parquet", *, cells=30, planes=3):
    """Squares that drift by 1 µm a plane; returns the first plane's centres."""
    at = np.random.default_rng(6).uniform(0, 200, (cells, 2))
    rows = [
        {
            "EntityID": FIRST + c,
            "ZIndex": z,
            "Geometry": wkb([square(*(at[c] + z), 6.0 + z)], big=bool(c % 2)),
        }
        for z in range(planes)
        for c in range(cells)
    ]
    pd.DataFrame(rows).to_parquet(folder / name)
    return at


# --- what is read


@pytest.mark.parametrize("gz", [False, True])
def test_slots(tmp_path, gz):
    counts, meta = write_tables(tmp_path / "region_0", gz=gz)
    table = read(tmp_path / "region_0")
    assert list(table.obs_names) == [str(FIRST + i) for i in range(30)]
    assert list(table.var_names) == [f"G{i}" for i in range(56)]  # no blanks
    assert np.array_equal(table.layers["counts"].toarray(), counts.iloc[:, :56].to_numpy())
    um = meta[["center_x", "center_y"]].to_numpy()
    assert np.allclose(table.obsm["spatial_um"], um, rtol=1e-15)
    by_hand = np.array([(T @ [x, y, 1.0])[:2] for x, y in um])
    assert np.allclose(table.obsm["spatial"], by_hand)
    row = table.uns["triptych"]["samples"].loc["region_0"]
    assert row.mpp == pytest.approx(1 / np.sqrt(9.26 * 9.259))
    assert (row.image, row.lattice) == ("", "")
    assert np.allclose(table.obs["cell_volume_um3"], meta["volume"])
    assert not {"fov", "center_x", "min_x"} & set(table.obs)  # fov is empty


@pytest.mark.slow
def test_the_same_as_squidpy(region):
    squidpy = pytest.importorskip("squidpy")
    theirs = squidpy.read.vizgen(region, counts_file="cell_by_gene.csv", meta_file="cell_metadata.csv")
    ours = read(region)
    assert list(ours.obs_names) == list(theirs.obs_names)
    assert list(ours.var_names) == list(theirs.var_names)
    assert np.array_equal(ours.layers["counts"].toarray(), theirs.X.toarray())
    assert np.allclose(ours.obsm["spatial_um"], theirs.obsm["spatial"].astype(float))


def test_files_of_the_instrument(region):
    for stain, planes in {"PolyT": (0, 3, 4, 10), "DAPI": (0, 3, 10), "Cellbound1": (3, 10, 0)}.items():
        for z in planes:
            Image.new("I;16", (4, 4)).save(region / "images" / f"mosaic_{stain}_z{z}.tif")
    (region / "detected_transcripts.csv").write_text("gene\n")
    write_polygons(region, "cellpose_micron_space.parquet")
    row = read(region).uns["triptych"]["samples"].loc["region_0"]
    names = ["DAPI", "Cellbound1", "PolyT"]
    files = {name: str((region / "images" / f"mosaic_{name}_z3.tif").resolve()) for name in names}
    assert list(json.loads(row.stains).items()) == list(files.items())  # a plane that all have
    np.testing.assert_array_equal(json.loads(row.stain_matrix), T[:2])
    assert row.transcripts == str((region / "detected_transcripts.csv").resolve())
    assert row.cell_boundaries == str((region / "cellpose_micron_space.parquet").resolve())
    assert row.image == ""


def test_stains_of_other_planes_and_folders(region):
    (region / "input_images").mkdir()
    for file in ("DAPI_z1", "DAPI_z2", "Membrane_z7", "PolyT"):
        Image.new("I;16", (4, 4)).save(region / "input_images" / f"mosaic_{file}.tif")
    stains = json.loads(read(region).uns["triptych"]["samples"].loc["region_0"].stains)
    assert {name: Path(file).name for name, file in stains.items()} == {
        "DAPI": "mosaic_DAPI_z2.tif", "Membrane": "mosaic_Membrane_z7.tif", "PolyT": "mosaic_PolyT.tif"
    }  # fmt: skip


def test_stains_that_are_damaged_or_differ(region):
    Image.new("I;16", (4, 4)).save(region / "images" / "mosaic_DAPI_z0.tif")
    Image.new("I;16", (4, 5)).save(region / "images" / "mosaic_Membrane_z0.tif")
    with pytest.raises(DataError, match="region_0: its stains differ in size: DAPI 4 × 4, Membrane 4 × 5 px"):
        read(region)
    (region / "images" / "mosaic_DAPI_z0.tif").write_bytes(b"II*")
    with pytest.raises(DataError, match="stain DAPI: the image mosaic_DAPI_z0.tif cannot be read"):
        read(region)


def test_an_image_in_colour_beside_is_taken(region):
    Image.new("RGB", (2000, 2000)).save(region / "image.png")
    row = read(region).uns["triptych"]["samples"].loc["region_0"]
    assert (row.image, row.image_scale) == (str((region / "image.png").resolve()), 1.0)


def test_the_transform_may_lie_beside_and_turn(region):
    turned = np.array([[0.0, -5.0, 1500.0], [5.0, 0.0, 20.0], [0.0, 0.0, 1.0]])
    (region / "images" / TRANSFORM).unlink()
    np.savetxt(region / TRANSFORM, turned)
    table = read(region)
    assert table.uns["triptych"]["samples"].mpp.item() == pytest.approx(0.2)
    um = table.obsm["spatial_um"]
    assert np.allclose(table.obsm["spatial"], np.column_stack([1500 - 5 * um[:, 1], 20 + 5 * um[:, 0]]))


def test_a_folder_of_regions(tmp_path):
    for name in ("region_0", "region_1"):
        write_tables(tmp_path / name)
    table = read(tmp_path)
    assert table.n_obs == 60
    assert list(table.obs["sample"].cat.categories) == ["region_0", "region_1"]
    assert table.obsm["spatial_um"].shape == (60, 2)
    assert read(tmp_path, ReadOptions(samples=("region_1",))).n_obs == 30


# --- centres from polygons


def test_centres_are_the_mean_over_the_planes(region):
    (region / "cell_metadata.csv").unlink()
    at = write_polygons(region)
    table = read(region)
    assert np.allclose(table.obsm["spatial_um"], at + 1.0)  # of drifts 0, 1, 2; not weighed by area
    assert table.uns["triptych"]["samples"].cell_boundaries.item().endswith("cell_boundaries.parquet")


def test_a_hole_and_a_second_part_count(region):
    (region / "cell_metadata.csv").unlink()
    parts = [[square(10, 10, 4), square(11, 10, 1)], [square(20, 10, 2)]]
    write_polygons(region)
    frame = pd.read_parquet(region / "cell_boundaries.parquet")
    frame = frame[frame["ZIndex"] == 0]
    frame.at[0, "Geometry"] = wkb(*parts)
    frame.to_parquet(region / "cell_boundaries.parquet")
    x = (16 * 10 - 1 * 11 + 4 * 20) / (16 - 1 + 4)
    assert read(region).obsm["spatial_um"][0] == pytest.approx((x, 10))


def test_the_table_of_most_cells_serves(region):
    (region / "cell_metadata.csv").unlink()
    write_polygons(region, "a_onez.parquet", cells=4)
    write_polygons(region, "b_mosaic_space.parquet", cells=30)  # of pixels
    at = write_polygons(region, "c.parquet", cells=30, planes=1)
    pd.DataFrame({"gene": ["G1"]}).to_parquet(region / "detected_transcripts.parquet")
    assert np.allclose(read(region).obsm["spatial_um"], at)
    write_polygons(region, "d.parquet", cells=30)
    with pytest.raises(
        DataError, match="polygons in c.parquet, d.parquet have equally many of the cells: name"
    ):
        read(region)
    (region / "d.parquet").rename(region / "cell_boundaries.parquet")
    assert np.allclose(read(region).obsm["spatial_um"], at + 1)


def test_cells_without_polygon_are_left_out_and_told(region):
    (region / "cell_metadata.csv").unlink()
    write_polygons(region, cells=28)
    frame = pd.read_parquet(region / "cell_boundaries.parquet")
    frame.loc[frame["EntityID"] == FIRST, "Geometry"] = wkb()  # empty in every plane
    frame.to_parquet(region / "cell_boundaries.parquet")
    with pytest.warns(TriptychWarning, match="region_0: left out are 3 of 30 cells of cell_by_gene.csv that"):
        table = read(region)
    assert list(table.obs_names) == [str(FIRST + i) for i in range(1, 28)]


def test_neither_metadata_nor_polygons(region):
    (region / "cell_metadata.csv").unlink()
    with pytest.raises(
        DataError, match="neither cell_metadata.csv nor polygons of the cells .* must say where"
    ):
        read(region)


def test_damaged_polygons(region):
    (region / "cell_metadata.csv").unlink()
    write_polygons(region)
    path = region / "cell_boundaries.parquet"
    frame = pd.read_parquet(path)
    frame.loc[:4, "Geometry"] = b"no polygon"
    frame.loc[5, "Geometry"] = None
    frame.to_parquet(path)
    with pytest.raises(DataError, match="6 of 90 polygons of cell_boundaries.parquet are missing or no WKB"):
        read(region)
    frame.assign(Geometry="POLYGON").to_parquet(path)
    with pytest.raises(
        DataError, match="column Geometry of .* is of type (large_)?string, not polygons in WKB"
    ):
        read(region)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="cell_boundaries.parquet is cut short or damaged"):
        read(region)


def test_without_the_extra(region, monkeypatch):
    (region / "cell_metadata.csv").unlink()
    write_polygons(region)

    def absent(module, extra):
        raise MissingExtraError(f"{module} is not installed.", f"pip install 'triptych[{extra}]'")

    monkeypatch.setattr(merscope_polygons, "need", absent)
    with pytest.raises(MissingExtraError, match=r"triptych\[cells\]"):
        read(region)


# --- what is refused


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (T[:2], "not an affine matrix of 3 × 3 numbers"),
        (T * [[1], [0], [1]], "has no inverse"),
        (T * [[1], [1], [2]], "is not affine: its last line"),
        (T * np.nan, "not an affine matrix of 3 × 3 numbers"),
    ],
)
def test_a_transform_that_is_none(region, matrix, message):
    np.savetxt(region / "images" / TRANSFORM, matrix)
    with pytest.raises(DataError, match=message):
        read(region)


def test_no_transform(region):
    (region / "images" / TRANSFORM).unlink()
    with pytest.raises(
        DataError, match=f"images/{TRANSFORM} is missing, and nothing else gives the size of a"
    ):
        read(region)


def test_an_uneven_transform_is_told(region):
    np.savetxt(region / "images" / TRANSFORM, [[9.0, 0, 90], [0, 9.9, 90], [0, 0, 1]])
    with pytest.warns(TriptychWarning, match="stretches or shears by 10.0 %"):
        read(region)


def test_the_transform_of_another_region(region):
    np.savetxt(region / "images" / TRANSFORM, T - [[0, 0, 40 + 926], [0, 0, 0], [0, 0, 0]])
    um = pd.read_csv(region / "cell_metadata.csv")["center_x"]
    number = int(np.sum(um < 100 - 10 * np.sqrt(9.259 / 9.26)))
    with pytest.raises(
        DataError, match=f"{number} of 30 cells lie outside the mosaic, the first, {FIRST // 100}"
    ):
        read(region)


def test_all_faults_together(region):
    (region / "images" / TRANSFORM).unlink()
    change(region / "cell_metadata.csv", lambda f: f.assign(center_x=f["center_x"].mask(f.index == FIRST)))
    change(region / "cell_by_gene.csv", lambda f: f.assign(G3=f["G3"] + 0.5, G4=-1))
    with pytest.raises(DataError) as error:
        read(region)
    for part in ("is missing", "no finite coordinates", "30 counts are fractional", "30 counts are negative"):
        assert part in str(error.value)


def test_missing_files_and_columns(region):
    change(region / "cell_metadata.csv", lambda f: f.drop(columns="center_y"))
    with pytest.raises(DataError, match="cell_metadata.csv has no column center_y; it has fov"):
        read(region)
    (region / "cell_by_gene.csv").unlink()
    with pytest.raises(DataError, match="the file cell_by_gene.csv"):
        read(region)


@pytest.mark.parametrize("file", ["cell_by_gene.csv", "cell_metadata.csv"])
def test_cells_that_are_there_twice(region, file):
    change(region / file, lambda f: pd.concat([f, f.iloc[:2]]))
    with pytest.raises(DataError, match=f"2 cells are there more than once in {file}"):
        read(region)


def test_matrix_and_metadata_disagree(region):
    change(region / "cell_metadata.csv", lambda f: f.iloc[3:].rename(index={FIRST: 7}))
    with pytest.warns(
        TriptychWarning, match="4 of 30 cells of cell_by_gene.csv .* and 1 of 27 there that have"
    ):
        assert read(region).n_obs == 26
    change(region / "cell_metadata.csv", lambda f: f.rename(index=lambda i: i % 1000 + 5000 if i > 9 else 9))
    with pytest.raises(
        DataError, match="no cell is both in cell_by_gene.csv .2317.* and in cell_metadata.csv .5"
    ):
        read(region)


def test_no_cells(region):
    change(region / "cell_by_gene.csv", lambda f: f.iloc[:0])
    with pytest.raises(
        DataError, match="no cell is both in cell_by_gene.csv .nothing. and in cell_metadata.csv"
    ):
        read(region)
    (region / "cell_by_gene.csv").write_text("")
    with pytest.raises(DataError, match="cell_by_gene.csv"):
        read(region)


def test_a_file_that_is_cut_short(tmp_path):
    write_tables(tmp_path / "r", gz=True)
    for file in ("cell_by_gene.csv.gz", "cell_metadata.csv.gz"):
        whole = (tmp_path / "r" / file).read_bytes()
        (tmp_path / "r" / file).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=f"{file} is cut short or damaged"):
            read(tmp_path / "r")
        (tmp_path / "r" / file).write_bytes(gzip.compress(gzip.decompress(whole)))


# --- real data


@pytest.fixture
def data():
    folder = os.environ.get("TRIPTYCH_DATA")
    if not folder:
        pytest.skip("TRIPTYCH_DATA is not set")
    return Path(folder) / "merscope"


@pytest.mark.data
def test_the_smallset(data):
    table = read(data / "smallset")
    assert table.shape == (997, 130)
    assert table.uns["triptych"]["samples"].mpp.item() == pytest.approx(0.10797, rel=1e-3)
    assert table.obsm["spatial"].min() > 0
    counts = pd.read_csv(data / "smallset" / "cell_by_gene.csv.gz", index_col=0)
    assert table.layers["counts"].sum() == counts.to_numpy().sum()


@pytest.mark.data
def test_centres_of_polygons_are_those_of_the_vendor(data, tmp_path):
    for file in ("cell_by_gene.csv.gz", "cell_micron_space.parquet", TRANSFORM):
        (tmp_path / file).symlink_to(data / "smallset" / file)
    ours, theirs = read(tmp_path), read(data / "smallset")
    assert list(ours.obs_names) == list(theirs.obs_names)
    assert np.abs(ours.obsm["spatial_um"] - theirs.obsm["spatial_um"]).max() < 1e-9


@pytest.mark.data
def test_a_region_without_metadata(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error", TriptychWarning)
        table = read(data)
    assert table.shape == (94, 259)  # 15 blanks
    assert table.uns["triptych"]["samples"].cell_boundaries.item().endswith("cells_cellpose.parquet")
    px = table.obsm["spatial"]
    assert px.min() > 0
    assert px.max() < 512  # inside of its mosaic
    row = table.uns["triptych"]["samples"].loc["merscope"]
    stains = {name: Path(file).name for name, file in json.loads(row.stains).items()}
    assert stains == {name: f"mosaic_{name}_z3.tif" for name in ("DAPI", "Cellbound1", "Cellbound2")}
    found = read_molecules(row.transcripts, table.var_names)
    assert len(found.gene) + found.others == 5936
    assert found.cell is None
    inside = transform(np.array(json.loads(row.stain_matrix)), found.um)
    share = np.mean(np.all((inside >= 0) & (inside < 512), axis=1))
    assert share == pytest.approx(0.562, abs=0.001)  # the pictures show another part of the tissue
