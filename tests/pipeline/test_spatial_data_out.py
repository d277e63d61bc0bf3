"""A study of nuclei as SpatialData holds what the files hold, in one frame."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from triptych.core.errors import OutputError
from triptych.pipeline.spatial_data_out import convert
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read

from ..journeys.nuclei_study import SECTIONS, write  # noqa: TID252

spatialdata = pytest.importorskip("spatialdata", reason="the extra pixels is not installed")
K1, B1 = SECTIONS[0], SECTIONS[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write(tmp_path_factory.mktemp("hest"), (K1, B1))


@pytest.fixture(scope="module")
def store(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "study.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triptych.pipeline.spatial_data_out.BLOCK_PX", 100)  # pictures of several blocks
        named = convert(study, out, ReadOptions())
    found = spatialdata.read_zarr(out)
    assert named == sorted(name for _, name, _ in found.gen_elements())
    return found


def test_pictures_are_those_of_the_files(store, study):
    for one in (K1, B1):
        pixels = tifffile.imread(study / "wsis" / f"{one.name}.tif")
        held = np.moveaxis(np.asarray(store.images[f"{one.name}_image"].data), 0, -1)
        np.testing.assert_array_equal(held, pixels)


def test_counts_by_nucleus_and_by_cell_are_those_that_the_reader_gives(store, study):
    table = read(study)
    held = store.tables["nuclei"]
    assert list(held.obs_names) == list(table.obs_names)
    assert (table.layers["counts"] != held.X).nnz == 0
    by_cell = store.tables["cells"]
    transcripts = pd.concat(one.transcripts().assign(sample=one.name) for one in (K1, B1))
    per_cell = transcripts.groupby(["sample", "cell_id"]).size()
    assert by_cell.X.sum() == per_cell.sum()  # all of them were given to a cell
    assert held.X.sum() < by_cell.X.sum() + 1


def test_outlines_lie_where_the_instrument_drew_them_and_rows_name_them(store):
    held = store.shapes["K1_nuclei"]
    centres = np.column_stack([held.geometry.centroid.x, held.geometry.centroid.y])
    drawn = np.array([ring.mean(axis=0) for ring in K1.rings()])
    np.testing.assert_allclose(centres, drawn, atol=0.2)
    rows = store.tables["nuclei"].obs
    mine = rows[rows["region"] == "K1_nuclei"]
    assert list(mine["outline"]) == list(held.index)


def test_transcripts_are_in_pixels_of_the_picture_and_frames_tell_micrometres(store):
    points = store.points["B1_transcripts"].compute()
    made = B1.transcripts()
    np.testing.assert_allclose(np.sort(points["x"]), np.sort(made["he_x"]), atol=1e-3)
    assert sorted(points["gene"].astype(str)) == sorted(made["feature_name"])
    to = spatialdata.transformations.get_transformation(store.points["B1_transcripts"], "um")
    np.testing.assert_allclose(to.scale, [B1.mpp, B1.mpp])


def test_a_store_is_never_written_over(study, tmp_path):
    (tmp_path / "there.zarr").mkdir()
    with pytest.raises(OutputError, match="exists"):
        convert(study, tmp_path / "there.zarr", ReadOptions())
