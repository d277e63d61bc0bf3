import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from anndata import AnnData

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.affine import fitted, transform
from triptych.readers.manifest_files import add_files
from triptych.readers.read import read
from triptych.readers.sections import About, about_frame, about_of
from triptych.readers.toy.crops import ToyCrops
from triptych.readers.toy.write_merscope import TO_PX, write_merscope

FILES = {"DAPI": "dapi.tif", "membrane": "stack.tif::1"}


@pytest.fixture
def folder(tmp_path, tables):
    """A folder of tables, stains, molecules; and a region of a MERSCOPE."""
    tifffile.imwrite(tmp_path / "dapi.tif", np.zeros((6, 8), np.uint16))
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((2, 6, 8), np.uint16), photometric="minisblack")
    (tmp_path / "molecules.csv").write_text("x,y,gene\n1,2,G1\n")
    write_merscope(tmp_path / "region", next(iter(ToyCrops(cells=60, genes=60).make())))
    return tmp_path


def row_of(folder, sample="a", **samples):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"samples": samples}, allow_unicode=True))
    return about_of(read(path).uns["triptych"]["samples"], sample)


def test_stains_and_molecules_of_tables(folder):
    about = row_of(folder, a={"path": "ileum", "mpp": 0.5, "stains": FILES, "transcripts": "molecules.csv"})
    assert json.loads(about.stains) == {
        "DAPI": f"{folder}/dapi.tif",
        "membrane": f"{folder}/stack.tif::1",
    }
    assert json.loads(about.stain_matrix) == [[2, 0, 0], [0, 2, 0]]
    assert about.transcripts == f"{folder}/molecules.csv"


def test_pixels_where_no_scale_is_known(folder):
    about = row_of(folder, a={"path": "ileum", "stains": FILES})
    assert json.loads(about.stain_matrix) == [[1, 0, 0], [0, 1, 0]]
    assert np.isnan(about.mpp)


def test_stains_of_an_instrument_whose_frame_has_an_offset(folder):
    own = row_of(folder, "region", region={"path": "region"})
    assert list(json.loads(own.stains)) == ["DAPI", "Membrane"]
    about = row_of(folder, "region", region={"path": "region", "stains": {"DAPI": "dapi.tif"}})
    assert list(json.loads(about.stains)) == ["DAPI"]
    np.testing.assert_allclose(json.loads(about.stain_matrix), TO_PX[:2], rtol=1e-6)
    assert about.transcripts == own.transcripts


def test_another_scale_moves_the_frame_of_an_instrument(folder):
    with pytest.warns(
        TriptychWarning, match="b: mpp of the manifest replaces .* its stains and transcripts are placed"
    ):
        about = row_of(folder, "b", b={"path": "region", "mpp": 0.2})
    assert (about.stains, about.stain_matrix, about.transcripts) == ("", "", "")


def test_a_scale_for_stains_that_were_placed_in_pixels(folder, tmp_path):
    inner = tmp_path / "inner.yaml"
    inner.write_text(yaml.safe_dump({"samples": {"a": {"path": "ileum", "stains": FILES}}}))
    read(inner).write_h5ad(folder / "a.h5ad")
    about = row_of(folder, a={"path": "a.h5ad", "mpp": 0.5})
    assert json.loads(about.stain_matrix) == [[2, 0, 0], [0, 2, 0]]
    assert list(json.loads(about.stains)) == ["DAPI", "membrane"]


def test_a_study_without_a_scale_cannot_use_what_lies_in_micrometres(folder):
    (folder / "ileum" / "latent_stain.csv.gz").unlink()
    with pytest.warns(
        TriptychWarning, match="study has none; stains and transcripts of the others, placed in µm, are left"
    ):
        row = row_of(folder, "r", r={"path": "region"}, a={"path": "ileum", "stains": FILES})
    assert (row.stains, row.transcripts) == ("", "")


def test_a_sample_keeps_the_frame_of_its_files_beside_one_that_is_measured(folder):
    (folder / "ileum" / "latent_stain.csv.gz").unlink()
    path = folder / "study.yaml"
    samples = {"r": {"path": "region"}, "a": {"path": "ileum", "mpp": 0.5}}
    path.write_text(yaml.safe_dump({"samples": samples}))
    table = read(path)
    rows = (table.obs["sample"] == "r").to_numpy()
    matrix = np.array(json.loads(table.uns["triptych"]["samples"].loc["r", "stain_matrix"]))
    np.testing.assert_allclose(
        transform(matrix, table.obsm["spatial_um"][rows]), table.obsm["spatial"][rows], atol=1e-6
    )
    np.testing.assert_allclose(table.obsm["spatial_um"][~rows], table.obsm["spatial"][~rows] / 2)


def test_all_faults_together(folder):
    with pytest.raises(DataError) as caught:
        row_of(
            folder,
            a={"path": "ileum", "stains": {"DAPI": "no.tif", "x": "no.tif::1"}, "transcripts": "none.csv"},
            b={"path": "ileum", "stains": ["dapi.tif"]},
            c={"path": "ileum", "stains": {"DAPI": ""}},
        )
    for message in (
        f"a: stains.DAPI: there is no file {folder}/no.tif",
        f"a: stains.x: there is no file {folder}/no.tif",
        f"a: transcripts: there is no file {folder}/none.csv",
        "b: stains: Input should be a valid dictionary",
        "c: stains.DAPI: String should have at least 1 character",
    ):
        assert message in str(caught.value)


def test_channels_that_do_not_exist(folder):
    with pytest.raises(DataError, match="a: stain x: the stain stack.tif::2 does not exist: I is 0 to 1"):
        row_of(folder, a={"path": "ileum", "stains": {"x": "stack.tif::2"}})


def test_places_that_do_not_tell_the_pixels(rng, tmp_path):
    um = np.column_stack([np.arange(9.0), np.arange(9.0)])
    about = about_frame({"a": About(mpp=0.5)})
    table = AnnData(obs=pd.DataFrame(index=list("abcdefghi")), obsm={"spatial": um, "spatial_um": um + 3})
    with pytest.raises(DataError, match=r"no affine picture of each other \(inf px remain\)"):
        add_files(table, about, tmp_path, stains={"DAPI": "d.tif"}, transcripts="")
    table.obsm["spatial"] = 100 * rng.random((9, 2))
    with pytest.raises(DataError, match="no affine picture of each other .* give mpp"):
        add_files(table, about, tmp_path, stains={"DAPI": "d.tif"}, transcripts="")


def test_the_fitted_map(rng):
    points, matrix = rng.uniform(1e4, 2e4, (30, 2)), np.array([[0.1, -4, 7000.0], [5, 0.2, -9]])
    found, residual = fitted(points, transform(matrix, points))
    np.testing.assert_allclose(found, matrix, rtol=1e-6)
    assert residual < 1e-5
