import json
import os
import warnings
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from PIL import Image

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read


def make(rng, n=30, **obs):
    frame = pd.DataFrame({"layer": ["L1", "L2", "NA"] * (n // 3), **obs}, index=[f"s{i}" for i in range(n)])
    table = ad.AnnData(
        sp.csr_matrix(rng.poisson(1.0, (n, 60)).astype(np.float32)),
        obs=frame,
        var=pd.DataFrame(index=[f"G{i}" for i in range(60)]),
    )
    table.obsm["spatial"] = rng.random((n, 2)) * 100
    return table


@pytest.fixture
def save(tmp_path):
    def write(table, name="x"):
        (tmp_path / "files").mkdir(exist_ok=True)
        path = tmp_path / "files" / f"{name}.h5ad"
        table.write_h5ad(path)
        return path

    return write


def test_a_file_from_elsewhere(rng, save):
    table = make(rng, subject="Br1")
    got = read(save(table, "s1"))
    assert got.X is None
    assert np.array_equal(got.layers["counts"].toarray(), table.X.toarray())
    assert list(got.obs["sample"].cat.categories) == ["s1"]
    assert list(got.obs["donor"].cat.categories) == ["Br1"]
    assert list(got.obs.truth.cat.categories) == ["L1", "L2"]
    assert "spatial_um" not in got.obsm


@pytest.mark.parametrize("place", ["layers", "raw", "X"])
def test_places_of_counts(rng, save, place):
    table = make(rng)
    counts = table.X.copy()
    if place == "layers":
        table.layers["counts"] = counts
    elif place == "raw":
        table.raw = table.copy()
    if place != "X":
        table.X = table.X / 3
    assert np.array_equal(read(save(table)).layers["counts"].toarray(), counts.toarray())


def test_no_counts_anywhere(rng, save):
    table = make(rng)
    table.X = table.X / 3
    with pytest.raises(DataError, match=r"no raw counts: looked in layers:counts, raw.X and X; X exists"):
        read(save(table))


@pytest.mark.parametrize(("value", "word"), [(-1, "negative"), (0.5, "fractional"), (np.nan, "missing")])
def test_a_layer_of_counts_that_are_none(rng, save, value, word):
    table = make(rng)
    counts = table.X.tolil()
    counts[3, 4] = value
    table.layers["counts"] = counts.tocsr()
    with pytest.raises(DataError, match=f"1 count is {word}.* at s3, gene G4"):
        read(save(table))


def test_several_samples_in_one_file(rng, save):
    path = save(make(rng, sample=["a", "b", "c"] * 10, patient=["p", "p", "q"] * 10))
    table = read(path)
    assert list(table.uns["triptych"]["samples"].donor) == ["p", "p", "q"]
    assert table.obs_names[0] == "a_s0"
    some = read(path, ReadOptions(samples=("c", "a")))
    assert list(some.obs["sample"].cat.categories) == ["c", "a"]
    assert some.n_obs == 20


def test_a_folder_is_a_study(rng, save):
    save(make(rng), "one")
    folder = save(make(rng), "two").parent
    table = read(folder)
    assert list(table.obs["sample"].cat.categories) == ["one", "two"]
    assert table.n_obs == 60
    with pytest.raises(DataError, match="no sample three; there is one, two"):
        read(folder, ReadOptions(samples=("three",)))


def test_a_visium_array_gives_the_scale_and_another_does_not(rng, save):
    row, col = (grid.ravel() for grid in np.meshgrid(np.arange(5), np.arange(12)))
    even = (row + col) % 2 == 0
    table = make(rng, array_row=row[even], array_col=col[even])
    table.obsm["spatial"] = np.column_stack([col[even] * 50, row[even] * 50 * np.sqrt(3)]) / 0.7 + [3, 4]
    table.obsm["spatial"][:, 1] = np.asarray(row[even]) * 100 * np.sqrt(3) / 2 / 0.7
    got = read(save(table))
    assert got.uns["triptych"]["samples"].mpp.item() == pytest.approx(0.7)
    assert got.uns["triptych"]["samples"].lattice.item() == "hex"
    table.obs["array_col"] += 1
    other = read(save(table))
    assert other.uns["triptych"]["samples"].lattice.item() == "square"
    assert "spatial_um" not in other.obsm


def test_thumbnails_are_kept_under_the_sample(rng, save):
    table = make(rng)
    table.uns["spatial"] = {"lib": {"images": {"lowres": np.zeros((4, 4, 3))}, "scalefactors": {"a": 1.0}}}
    assert list(read(save(table, "s")).uns["spatial"]) == ["s"]


def test_spots_beside_the_tissue_are_told(rng, save):
    with pytest.warns(TriptychWarning, match="10 spots beside the tissue are left out"):
        assert read(save(make(rng, in_tissue=[0, 1, 1] * 10))).n_obs == 20


def test_no_coordinates(rng, save):
    table = make(rng)
    del table.obsm["spatial"]
    with pytest.raises(DataError, match="no coordinates obsm:spatial; there is layers:counts"):
        read(save(table))


def test_duplicate_ids_and_coordinates_that_are_not_finite(rng, save):
    table = make(rng)
    table.obsm["spatial"][2, 0] = np.inf
    table.obs_names = ["s0", *table.obs_names[:-1]]
    with pytest.raises(DataError) as caught:
        read(save(table))
    assert "1 ids are there more than once: s0" in str(caught.value)
    assert "1 observations have no finite coordinates" in str(caught.value)


def test_truncated_and_foreign_files(rng, save):
    path = save(make(rng))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match="x.h5ad cannot be read"):
        read(path)
    with h5py.File(path, "w") as file:
        file["matrix"] = 1
    with pytest.raises(DataError, match="x.h5ad is no AnnData; it holds matrix"):
        read(path)
    path.write_text("no hdf5")
    with pytest.raises(DataError, match="x.h5ad cannot be read"):
        read(path)


def test_an_empty_table(rng, save):
    with pytest.raises(DataError, match="no observations"):
        read(save(make(rng)[:0].copy()))


def test_a_table_of_triptych_comes_back_as_it_is(rng, save, tmp_path):
    first = read(save(make(rng, sample=["a", "b"] * 15)))
    first.obsm["X_fused.none"] = rng.random((30, 3))
    first.obs["domain"] = pd.Categorical(["d"] * 30)
    first.uns["triptych"]["scores"] = pd.DataFrame({"value": [0.5]})
    back = read(save(first, "again"))
    assert back.obs_names.equals(first.obs_names)
    assert np.array_equal(back.obsm["X_fused.none"], first.obsm["X_fused.none"])
    assert back.uns["triptych"]["scores"].value.item() == 0.5
    assert back.uns["triptych"]["truth_column"] == "layer"
    pd.testing.assert_series_equal(back.obs.truth, first.obs.truth)
    pd.testing.assert_frame_equal(back.uns["triptych"]["samples"], first.uns["triptych"]["samples"])


def test_lost_images_are_told(rng, save):
    table = read(save(make(rng)))
    table.uns["triptych"]["samples"]["image"] = "gone/slide.png"
    path = save(table, "later")
    with pytest.warns(TriptychWarning, match="no longer there: gone/slide.png"):
        assert read(path).uns["triptych"]["samples"].image.item() == ""


def test_lost_stains_and_transcripts_are_told(rng, save, tmp_path):
    Image.new("I;16", (4, 4)).save(tmp_path / "there.tif")
    table = read(save(make(rng)))
    stains = {"DAPI": str(tmp_path / "there.tif"), "membrane": "gone/membrane.tif::1"}
    files = {"stains": json.dumps(stains), "transcripts": "gone/t.csv"}
    matrix = "[[1, 0, 0], [0, 1, 0]]"
    table.uns["triptych"]["samples"] = table.uns["triptych"]["samples"].assign(stain_matrix=matrix, **files)
    path = save(table, "later")
    with pytest.warns(TriptychWarning, match="no longer there: gone/membrane.tif::1, gone/t.csv"):
        about = read(path).uns["triptych"]["samples"]
    assert (about.stains.item(), about.transcripts.item()) == ("", "")
    table.uns["triptych"]["samples"]["stains"] = "no JSON"
    table.uns["triptych"]["samples"]["transcripts"] = ""
    with pytest.raises(DataError, match="its stains are no JSON"):
        read(save(table, "spoilt"))


def test_a_damaged_description_is_a_fault(rng, save):
    table = read(save(make(rng)))
    table.uns["triptych"]["samples"] = table.uns["triptych"]["samples"].drop(columns="mpp")
    with pytest.raises(DataError, match="no table «samples» with the columns"):
        read(save(table, "later"))


def test_tables_of_another_schema_or_half_a_table(rng, save):
    table = make(rng)
    table.uns["triptych"] = {"schema": 99}
    with pytest.raises(DataError, match="has schema 99, this version of triptych reads 1"):
        read(save(table))
    table.uns["triptych"] = {"schema": 1}
    with pytest.raises(DataError, match="no whole table of triptych"):
        read(save(table))


def test_a_sample_asked_for_twice(rng, save):
    with pytest.raises(DataError, match="the samples x are asked for more than once"):
        read(save(make(rng)), ReadOptions(samples=("x", "x")))


def test_columns_that_only_some_files_have_can_be_written(rng, save, tmp_path):
    save(make(rng, a=True, c=1), "one")
    table = read(save(make(rng, b="t", c="x"), "two").parent)
    table.write_h5ad(tmp_path / "both.h5ad")
    back = read(tmp_path / "both.h5ad")
    assert back.obs["a"].isna().sum() == 30
    assert set(back.obs["c"].astype(str)) == {"1", "x"}


@pytest.mark.data
def test_dlpfc():
    data = os.environ.get("TRIPTYCH_DATA")
    if not data:
        pytest.skip("TRIPTYCH_DATA is not set")
    with warnings.catch_warnings():
        warnings.simplefilter("error", TriptychWarning)
        table = read(Path(data) / "dlpfc", ReadOptions(samples=("151673", "151674")))
    assert table.obs["sample"].value_counts().to_dict() == {"151674": 3673, "151673": 3639}
    assert set(table.obs.truth.cat.categories) == {"L1", "L2", "L3", "L4", "L5", "L6", "WM"}
    assert table.obs.truth.isna().sum() == 66
    assert set(table.obs.donor) == {"Br8100"}
    assert table.uns["triptych"]["samples"].mpp.between(0.72, 0.73).all()
    assert (table.uns["triptych"]["samples"].lattice == "hex").all()


@pytest.mark.parametrize("library", ["s", "V1_Breast"])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_a_picture_inside_the_file_is_the_image_of_its_sample(tmp_path, library, kind):
    from triptych.tiles.slide import open_slide

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(40, 30, 3)).astype(np.uint8)
    table = ad.AnnData(sp.csr_matrix(np.ones((4, 3), dtype=np.float32)))
    table.obsm["spatial"] = rng.random((4, 2)) * 100
    picture = pixels if kind == "uint8" else (pixels / 255).astype(np.float32)
    scales = {"tissue_hires_scalef": 0.25, "tissue_lowres_scalef": 0.1}
    table.uns["spatial"] = {library: {"images": {"hires": picture}, "scalefactors": scales}}
    table.write_h5ad(tmp_path / "s.h5ad")
    about = read(tmp_path / "s.h5ad").uns["triptych"]["samples"].loc["s"]
    assert about["image_scale"] == 0.25
    slide = open_slide(about["image"])
    assert slide.shape_px == (40, 30)
    assert (slide.read(0, 0, 30, 40) == pixels).all()
