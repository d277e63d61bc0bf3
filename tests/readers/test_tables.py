import os
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read


def change(path, edit):
    edit(pd.read_csv(path, index_col=0)).to_csv(path)


def test_slots(tables):
    table = read(tables)
    latent = pd.read_csv(tables / "latent_stain.csv.gz", index_col=0)
    assert np.allclose(table.obsm["X_img.stain"], latent.loc[table.obs_names], atol=1e-6)
    assert table.obs.truth.isna().sum() == 2  # one Removed, one without a type
    assert list(table.obs["area"]) == list(range(20))
    assert "spatial_um" not in table.obsm
    assert np.isnan(table.uns["triptych"]["samples"].mpp.item())


def test_cells_that_a_latent_lacks_are_left_out_and_told(tables):
    change(tables / "latent_stain.csv.gz", lambda f: f.iloc[4:])
    with pytest.warns(TriptychWarning, match=r"4 of 20 cells are left out.*X_img.stain 16"):
        table = read(tables)
    assert table.n_obs == 16
    latent = pd.read_csv(tables / "latent_stain.csv.gz", index_col=0)
    assert np.allclose(table.obsm["X_img.stain"], latent.loc[table.obs_names], atol=1e-6)


def test_no_cell_in_all_tables(tables):
    change(tables / "cells.csv.gz", lambda f: f.rename(index=lambda i: f"d{i}"))
    with pytest.raises(DataError, match="no cell is in all of its tables"):
        read(tables)


def test_missing_parts(tables):
    change(tables / "cells.csv.gz", lambda f: f.drop(columns="y"))
    with pytest.raises(DataError, match="cells.csv.gz has no column y; it has x, area"):
        read(tables)
    (tables / "cells.csv.gz").unlink()
    with pytest.raises(DataError, match="the file cells.csv"):
        read(tables)


def test_duplicate_ids(tables):
    change(tables / "types.csv.gz", lambda f: pd.concat([f, f.iloc[:2]]))
    with pytest.raises(DataError, match="2 ids are there more than once in types: c0, c1"):
        read(tables)


@pytest.mark.parametrize("value", ["", "what", "inf"])
def test_a_latent_that_is_not_finite(tables, value):
    change(tables / "latent_stain.csv.gz", lambda f: f.astype(object).T.assign(c3=value).T)
    with pytest.raises(DataError, match="3 values of the table of X_img.stain are no finite numbers"):
        read(tables)


def test_an_empty_file(tables):
    (tables / "counts.csv.gz").unlink()
    (tables / "counts.csv").write_text("")
    with pytest.raises(DataError, match="no cell is in all"):
        read(tables)
    (tables / "cells.csv.gz").unlink()
    (tables / "cells.csv").write_text("")
    with pytest.raises(DataError, match="cells.csv is no table"):
        read(tables)


@pytest.fixture
def several(tmp_path, rng):
    folder = tmp_path / "star"
    folder.mkdir()
    for name in ("m1", "m2"):
        ids = [f"{i}x1" for i in range(12)]
        counts = pd.DataFrame(rng.poisson(1.0, (12, 60)), index=ids, columns=[f"G{i}" for i in range(60)])
        counts.to_csv(folder / f"{name}_counts.csv.gz", quoting=2)
        pd.DataFrame({"x": 1.0, "y": range(12), "z": "1"}, index=ids).to_csv(
            folder / f"{name}_obs.csv", quoting=2
        )
    return folder


def test_several_samples(several):
    table = read(several, ReadOptions(truth="z"))
    assert list(table.obs["donor"].cat.categories) == ["m1", "m2"]
    assert set(table.obs.truth) == {"1"}
    assert table.obs_names[0] == "m1_0x1"
    assert "truth" not in read(several).obs


def test_one_of_several_without_its_cells(several):
    (several / "m2_obs.csv").unlink()
    with pytest.raises(DataError, match="m2: the file m2_obs.csv"):
        read(several)


@pytest.mark.data
def test_mouse_ileum_and_starmap():
    data = os.environ.get("TRIPTYCH_DATA")
    if not data:
        pytest.skip("TRIPTYCH_DATA is not set")
    with pytest.warns(TriptychWarning, match="268 of 5800 cells"):
        ileum = read(Path(data) / "mouse_ileum")
    assert ileum.shape == (5532, 241)
    assert ileum.obsm["X_img.ls4_dual"].shape == (5532, 50)
    assert len(ileum.obs.truth.cat.categories) == 19
    assert ileum.obs.truth.isna().sum() == 340
    with warnings.catch_warnings():
        warnings.simplefilter("error", TriptychWarning)
        star = read(Path(data) / "starmap_mpfc", ReadOptions(truth="z"))
    assert star.obs["sample"].value_counts(sort=False).to_list() == [1049, 1053, 1088]
    assert star.n_vars == 166
    assert list(star.obs.truth.cat.categories) == ["1", "2", "3", "4"]


def test_a_column_of_several_types_can_be_written(tmp_path):
    (tmp_path / "counts.csv").write_text("cell,G1,G2\nc1,1,2\nc2,3,0\nc3,1,1\n")
    (tmp_path / "cells.csv").write_text("cell,x,y,note,kept\nc1,0,1,5,True\nc2,1,1,five,\nc3,2,1,7,False\n")
    table = read(tmp_path)
    table.write_h5ad(tmp_path / "written.h5ad")
    again = ad.read_h5ad(tmp_path / "written.h5ad")
    assert again.obs["note"].astype(str).tolist() == ["5", "five", "7"]
    assert again.obs["kept"].isna().tolist() == [False, True, False]
