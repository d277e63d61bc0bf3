import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import spatialdata

from triptych.core.errors import DataError
from triptych.readers.layouts import ReadOptions
from triptych.readers.pictures import image_size
from triptych.readers.read import read


@pytest.fixture
def store(tmp_path, rng):
    """Two regions of 30 spots; the image of the first is twice as fine as its shapes, with a shift."""
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale, Sequence, Translation

    def write(*, spatial=False):
        shapes, xy = {}, {}
        for name in ("r1", "r2"):
            xy[name] = rng.random((30, 2)) * 40 + 5
            um = Scale([2.0, 2.0], axes=("x", "y"))
            shapes[name] = ShapesModel.parse(
                xy[name], geometry=0, radius=1.0, transformations={f"cs_{name}": Identity(), "um": um}
            )
        to_shapes = Sequence([Scale([0.5, 0.5], axes=("x", "y")), Translation([-3.0, 0.0], axes=("x", "y"))])
        image = Image2DModel.parse(
            rng.integers(0, 255, (3, 120, 130), dtype=np.uint8),
            dims=("c", "y", "x"),
            transformations={"cs_r1": to_shapes},
        )
        obs = pd.DataFrame(
            {"region": pd.Categorical(["r1"] * 30 + ["r2"] * 30), "instance": [*range(30)] * 2}
        )
        obs.index = obs.index.astype(str)
        obs["label"] = ["a", "b"] * 30
        table = ad.AnnData(sp.csr_matrix(rng.poisson(1.0, (60, 60)).astype(np.float32)), obs=obs)
        table.var_names = [f"G{i}" for i in range(60)]
        if spatial:
            table.obsm["spatial"] = np.vstack([xy["r1"], xy["r2"]])
        table = TableModel.parse(table, region=["r1", "r2"], region_key="region", instance_key="instance")
        path = tmp_path / "study.zarr"
        spatialdata.SpatialData(images={"he": image}, shapes=shapes, tables={"table": table}).write(path)
        return path, xy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield write


@pytest.mark.parametrize("spatial", [False, True])
def test_regions_are_samples_in_pixels_of_their_image(store, spatial):
    path, xy = store(spatial=spatial)
    table = read(path)
    first = (table.obs["sample"] == "r1").to_numpy()
    assert np.allclose(table.obsm["spatial"][first], (xy["r1"] + [3, 0]) * 2)
    assert np.allclose(table.obsm["spatial"][~first], xy["r2"])
    samples = table.uns["triptych"]["samples"]
    assert samples.image["r1"] == f"{path.resolve()}::images/he"
    assert samples.image["r2"] == ""
    assert list(samples.mpp) == pytest.approx([1.0, 2.0])  # two µm per unit of the shapes
    assert image_size(samples.image["r1"]) == (130, 120)
    assert list(table.obs.truth.cat.categories) == ["a", "b"]
    assert table.uns["triptych"]["truth_column"] == "label"
    assert "region" not in table.obs


def test_one_region(store):
    path, _ = store()
    assert read(path, ReadOptions(samples=("r2",))).n_obs == 30
    with pytest.raises(DataError, match="no sample r9; there is r1, r2"):
        read(path, ReadOptions(samples=("r9",)))


def test_a_store_without_table(tmp_path):
    spatialdata.SpatialData().write(tmp_path / "x.zarr")
    with pytest.raises(DataError, match="there is no table ; of tables there is nothing"):
        read(tmp_path / "x.zarr")


def test_a_store_that_is_none(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    (tmp_path / "x.zarr" / "zarr.json").write_text("no json")
    with pytest.raises(DataError, match="not a readable zarr group"):
        read(tmp_path / "x.zarr")


def test_a_bare_table_in_zarr(store, tmp_path):
    path, _ = store()
    table = read(path)
    table.write_zarr(tmp_path / "table.zarr")
    back = read(tmp_path / "table.zarr")
    assert back.obs_names.equals(table.obs_names)
    assert np.array_equal(back.obsm["spatial"], table.obsm["spatial"])
    assert read(tmp_path / "table.zarr", ReadOptions(samples=("r2",))).n_obs == 30
