import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triptych.core.errors import DataError, RecipeError, TriptychWarning
from triptych.readers import registry
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.readers.toy.bundle import PIXEL_UM
from triptych.readers.toy.cells import ToyCells
from triptych.readers.toy.write_xenium import write_xenium

TOY = ToyCells(sections=2, cells=60, genes=56)


@pytest.fixture(scope="session")
def bundles():
    return {bundle.name: bundle for bundle in TOY.make()}


@pytest.fixture(scope="session")
def written(tmp_path_factory, bundles):
    root = tmp_path_factory.mktemp("xenium")
    for name, bundle in bundles.items():
        write_xenium(root / f"output-{name}", bundle)
    return root


@pytest.fixture
def study(written, tmp_path):
    return shutil.copytree(written, tmp_path / "study")


@pytest.fixture
def folder(study):
    return study / "output-A1"


def change(path, **words):
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


def test_counts_cells_and_areas(folder, bundles):
    made, table = bundles["A1"], read(folder)
    assert list(table.var_names) == list(made.genes)
    assert list(table.obs_names) == list(made.ids)
    np.testing.assert_array_equal(table.layers["counts"].toarray(), made.counts.toarray()[:, : TOY.genes])
    np.testing.assert_allclose(table.obsm["spatial_um"], made.um)
    assert {"cell_area_um2", "nucleus_area_um2", "transcript_counts"} <= set(table.obs)
    total = made.counts[:, : TOY.genes].toarray().sum(axis=1)
    np.testing.assert_array_equal(table.obs["transcript_counts"], total)
    assert list(table.obs["truth"].astype(str)) == list(made.kind)
    assert table.uns["triptych"]["truth_column"] == "cell_type"


def test_places_in_the_stained_image(folder, bundles):
    table, picture = read(folder), bundles["A1"].picture
    about = table.uns["triptych"]["samples"].loc["A1"]
    assert about.mpp == pytest.approx(picture.mpp)
    assert about.image == str(folder / "A1_he_image.ome.tif")
    back = np.column_stack([table.obsm["spatial"], np.ones(table.n_obs)]) @ picture.to_morphology.T
    np.testing.assert_allclose(back[:, :2] * PIXEL_UM, table.obsm["spatial_um"])
    stain = folder / "morphology_focus" / "morphology_focus_0000.ome.tif"
    assert json.loads(about.stains) == {"DAPI": str(stain)}
    np.testing.assert_allclose(json.loads(about.stain_matrix), np.eye(2, 3) / PIXEL_UM)
    assert about.transcripts == str(folder / "transcripts.parquet")
    assert about.cell_boundaries == str(folder / "cell_boundaries.parquet")
    assert about.nucleus_boundaries == str(folder / "nucleus_boundaries.parquet")


def test_without_a_stained_image_pixels_are_the_instruments(folder):
    for file in folder.glob("A1_he_image*"):
        file.unlink()
    table = read(folder)
    about = table.uns["triptych"]["samples"].loc["A1"]
    assert (about.image, about.mpp) == ("", pytest.approx(PIXEL_UM))
    np.testing.assert_allclose(table.obsm["spatial"] * PIXEL_UM, table.obsm["spatial_um"])


def test_mtx_and_text_give_the_same(folder):
    whole = read(folder)
    for name in ("cell_feature_matrix.h5", "cells.parquet"):
        (folder / name).unlink()
    text = read(folder)
    np.testing.assert_array_equal(text.layers["counts"].toarray(), whole.layers["counts"].toarray())
    np.testing.assert_allclose(text.obsm["spatial_um"], whole.obsm["spatial_um"])
    assert list(text.obs_names) == list(whole.obs_names)


def without_matrix(folder):
    (folder / "cell_feature_matrix.h5").unlink()
    shutil.rmtree(folder / "cell_feature_matrix")


def test_transcripts_are_counted_as_the_instrument_does(folder):
    whole = read(folder)
    without_matrix(folder)
    counted = read(folder)
    assert list(counted.obs_names) == list(whole.obs_names)
    genes = whole.var_names
    assert set(counted.var_names) == set(genes)
    np.testing.assert_array_equal(
        counted[:, genes].layers["counts"].toarray(), whole.layers["counts"].toarray()
    )


def test_the_quality_is_a_parameter(folder):
    without_matrix(folder)
    loose = registry.make("xenium", {"quality": 0}).read(folder, ReadOptions())
    strict = registry.make("xenium", {"quality": 30}).read(folder, ReadOptions())
    assert loose.layers["counts"].sum() > read(folder).layers["counts"].sum() > strict.layers["counts"].sum()


@pytest.mark.parametrize("parameters", [{"quality": -1}, {"reach_um": 0}, {"reach_um": 101}])
def test_ranges_of_the_parameters(parameters):
    with pytest.raises(RecipeError, match=next(iter(parameters))):
        registry.make("xenium", parameters)


def test_bytes_and_numbers_of_older_versions(folder):
    whole = read(folder)
    without_matrix(folder)
    for end in ("parquet", "csv.gz"):
        (folder / f"cells.{end}").rename(folder / f"old.{end}")
    frame = pq.read_table(folder / "old.parquet").to_pandas()
    number = {name: i + 1 for i, name in enumerate(frame["cell_id"])}
    frame["cell_id"] = frame["cell_id"].map(number)
    frame.to_parquet(folder / "cells.parquet", index=False)
    molecules = pq.read_table(folder / "transcripts.parquet").to_pandas()
    molecules["cell_id"] = molecules["cell_id"].map({**number, "UNASSIGNED": -1}).astype("int64")
    molecules["feature_name"] = [name.encode() for name in molecules["feature_name"]]
    pq.write_table(pa.Table.from_pandas(molecules, preserve_index=False), folder / "transcripts.parquet")
    (folder / "cell_types.csv").unlink()
    table = read(folder)
    assert list(table.obs_names) == [str(number[name]) for name in whole.obs_names]
    genes = whole.var_names
    np.testing.assert_array_equal(
        table[:, genes].layers["counts"].toarray(), whole.layers["counts"].toarray()
    )


def test_outlines_place_cells_that_no_table_does(folder, bundles):
    whole = read(folder)
    without_matrix(folder)
    for end in ("parquet", "csv.gz"):
        (folder / f"cells.{end}").unlink()
    table = read(folder)
    order = whole.obs_names.get_indexer(table.obs_names)
    np.testing.assert_allclose(table.obsm["spatial_um"], whole.obsm["spatial_um"][order], atol=1e-3)
    for column in ("nucleus_area_um2", "cell_area_um2"):
        np.testing.assert_allclose(table.obs[column], whole.obs[column].to_numpy()[order], rtol=1e-3)
    (folder / "nucleus_boundaries.parquet").unlink()
    (folder / "cell_boundaries.parquet").unlink()
    with pytest.warns(TriptychWarning, match=r"A1: 6\d of 6\d cells have neither a centroid nor an outline"):
        table = read(folder)
    away = table.obsm["spatial_um"] - whole.obsm["spatial_um"][order]
    assert np.hypot(*away.T).mean() < 2


def test_a_study_of_two(study):
    table = read(study)
    assert list(table.obs["sample"].cat.categories) == ["A1", "B1"]
    assert registry.make("xenium").samples(study) == ["A1", "B1"]
    assert read(study, ReadOptions(samples=("B1",))).n_obs == sum(table.obs["sample"] == "B1")


def test_names_are_distinct(study, folder):
    xenium = registry.make("xenium")
    change(study / "output-B1/experiment.xenium", region_name="A1")
    assert xenium.samples(study) == ["output-A1", "output-B1"]
    change(study / "output-B1/experiment.xenium", run_name="other")
    assert xenium.samples(study) == ["other", "toy"] or xenium.samples(study) == ["toy", "other"]
    inner = study / "output-A1/outs"
    inner.mkdir()
    for file in [f for f in folder.iterdir() if f != inner]:
        file.rename(inner / file.name)
    (inner / "experiment.xenium").write_text("{}")
    assert xenium.samples(study) == ["output-A1", "output-B1"]
    assert xenium.samples(folder) == ["output-A1"]


def test_recognises_parts_but_not_others(tmp_path, folder):
    xenium = registry.make("xenium")
    for kept in ("cells.csv.gz", "transcripts.parquet", "experiment.xenium"):
        part = tmp_path / kept.partition(".")[0]
        part.mkdir()
        shutil.copy(folder / kept, part / kept)
        assert xenium.recognises(part)
    other = tmp_path / "other"
    other.mkdir()
    pd.DataFrame({"cell": ["a"], "x": [1]}).to_csv(other / "cells.csv.gz", index=False)
    assert not xenium.recognises(other)
    assert not xenium.recognises(folder / "cells.parquet")


@pytest.mark.parametrize(
    ("name", "columns", "truth"),
    [
        ("cell_types.csv", ("Barcode", "Cluster", "color"), "Cluster"),
        ("my_annotations.csv", ("cell_id", "group", "n"), "group"),
        ("breast_annotation.tsv", ("", "celltype", "n"), "celltype"),
    ],
)
def test_labels_beside(folder, bundles, name, columns, truth):
    made = bundles["A1"]
    (folder / "cell_types.csv").unlink()
    frame = pd.DataFrame(dict(zip(columns, (made.ids, made.kind, np.arange(len(made.ids))), strict=True)))
    frame[::-1].iloc[3:].to_csv(folder / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    table = read(folder)
    known = table.obs["truth"].notna()
    assert (~known).sum() == 3
    np.testing.assert_array_equal(table.obs["truth"][known].astype(str), made.kind[known])
    assert table.uns["triptych"]["truth_column"] == truth


def test_an_uneven_matrix_is_warned_of(folder, bundles):
    matrix = bundles["A1"].picture.to_morphology @ np.diag([1, 1.03, 1])
    rows = "\n".join(",".join(f"{v:.17g}" for v in row) for row in matrix)
    (folder / "A1_he_imagealignment.csv").write_text(rows)
    with pytest.warns(TriptychWarning, match=r"A1: the matrix of A1_he_imagealignment.csv .* by 3.0 %"):
        read(folder)


def test_keypoints_are_no_matrix(folder):
    (folder / "A1_he_image_alignment_keypoints.csv").write_text("fixedX,fixedY,alignmentX,alignmentY\n")
    (folder / "A1_he_image_keypoints_alignment.csv").write_text("fixedX\n")
    read(folder)


def test_a_matrix_of_another_stem_serves(folder):
    (folder / "A1_he_imagealignment.csv").rename(folder / "run_he_imagealignment.csv")
    read(folder)


def test_a_truth_that_is_asked_for(folder):
    table = read(folder, ReadOptions(truth="cell_type"))
    assert table.obs["truth"].notna().all()
    with pytest.raises(DataError, match="there is no column other to take the truth from"):
        read(folder, ReadOptions(truth="other"))
