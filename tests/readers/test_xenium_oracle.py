"""The toy's bundle as spatialdata-io reads it, beside what the reader makes of it."""

import numpy as np
import pandas as pd
import pytest

from triptych.readers.read import read
from triptych.readers.toy.bundle import PIXEL_UM
from triptych.readers.toy.cells import ToyCells
from triptych.readers.toy.write_xenium import write_xenium

spatialdata_io = pytest.importorskip("spatialdata_io")


def write_masks(folder):
    """The part of a bundle that only the oracle wants: ids as numbers, in a zipped Zarr."""
    import zarr

    cells = pd.read_parquet(folder / "cells.parquet")
    digits = (
        cells["cell_id"]
        .str.removesuffix("-1")
        .map(
            lambda text: sum(
                (ord(letter) - ord("a")) << (4 * place) for place, letter in enumerate(reversed(text))
            )
        )
    )
    store = zarr.storage.ZipStore(folder / "cells.zarr.zip", mode="w")
    group = zarr.group(store=store, zarr_format=2)
    group["cell_id"] = np.column_stack([digits, np.ones(len(cells))]).astype(np.uint32)
    names = ["cell_centroid_x", "cell_centroid_y"]
    group.create_array(
        "cell_summary",
        data=cells[["x_centroid", "y_centroid"]].to_numpy(),
        attributes={"column_names": names},
    )
    for mask in ("0", "1"):
        group[f"polygon_sets/{mask}/cell_index"] = np.arange(len(cells))
    store.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    write_xenium(folder, next(iter(ToyCells(sections=1, cells=150).make())))
    mine = read(folder)
    write_masks(folder)
    theirs = spatialdata_io.xenium(folder, cells_labels=False, nucleus_labels=False)
    return mine, theirs, folder


def test_counts_and_centroids(both):
    mine, theirs, _ = both
    table = theirs["table"]
    assert list(table.obs["cell_id"]) == list(mine.obs_names)
    assert list(table.var_names) == list(mine.var_names)
    np.testing.assert_array_equal(table.X.toarray(), mine.layers["counts"].toarray())
    np.testing.assert_allclose(table.obsm["spatial"], mine.obsm["spatial_um"])
    np.testing.assert_allclose(table.obs["cell_area"], mine.obs["cell_area_um2"])
    np.testing.assert_allclose(table.obs["nucleus_area"], mine.obs["nucleus_area_um2"])


def test_the_matrix_of_the_stained_image(both):
    from spatialdata.transformations import get_transformation

    mine, theirs, folder = both
    image = spatialdata_io.xenium_aligned_image(
        folder / "A1_he_image.ome.tif", folder / "A1_he_imagealignment.csv"
    )
    for element in (image, theirs["he_image"]):
        matrix = get_transformation(element).to_affine_matrix(("x", "y"), ("x", "y"))
        global_px = np.column_stack([mine.obsm["spatial"], np.ones(mine.n_obs)]) @ matrix.T
        np.testing.assert_allclose(global_px[:, :2] * PIXEL_UM, mine.obsm["spatial_um"])
    circles = get_transformation(theirs["cell_boundaries"]).to_affine_matrix(("x", "y"), ("x", "y"))
    assert circles[0, 0] * PIXEL_UM == pytest.approx(1)


def test_pixels_and_outlines(both):
    mine, theirs, folder = both
    pixels = theirs["he_image"]["scale0"]["image"].to_numpy()
    import tifffile

    np.testing.assert_array_equal(pixels.transpose(1, 2, 0), tifffile.imread(folder / "A1_he_image.ome.tif"))
    outlines = theirs["cell_boundaries"].loc[mine.obs_names]
    np.testing.assert_allclose(outlines.centroid.x, mine.obsm["spatial_um"][:, 0], atol=1e-3)
    np.testing.assert_allclose(outlines.area, mine.obs["cell_area_um2"], rtol=1e-4)
