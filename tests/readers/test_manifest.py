import re

import numpy as np
import pytest
import yaml
from PIL import Image

from triptych.core.errors import DataError, TriptychWarning
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read


@pytest.fixture
def manifest(tmp_path):
    def write(samples, **more):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({"samples": samples, **more}, sort_keys=False))
        return path

    return write


def test_layouts_are_put_together(st, tables, manifest, tmp_path):
    st("A1")
    st("B1")
    Image.new("RGB", (10, 10)).save(tmp_path / "he.png")
    path = manifest(
        {
            "B1": {"path": "st", "donor": "x", "columns": {"age": 50, "drug": "yes"}},
            "mouse": {"path": "ileum", "mpp": 0.5, "batch": "b2", "image": "he.png", "truth": "leiden_final"},
        }
    )
    with pytest.warns(TriptychWarning, match="obsm:X_img.stain is left out: not all samples have it"):
        table = read(path)
    samples = table.uns["triptych"]["samples"]
    assert list(samples.index) == ["B1", "mouse"]
    assert list(samples.donor) == ["x", "mouse"]
    assert samples.image["mouse"].endswith("he.png")
    assert table.n_obs == 35 + 20
    mouse = (table.obs["sample"] == "mouse").to_numpy()
    assert np.allclose(table.obsm["spatial_um"][mouse], table.obsm["spatial"][mouse] / 2)
    assert np.allclose(table.obsm["spatial_um"][~mouse], table.obsm["spatial"][~mouse] * 5)
    assert set(table.obs.truth.cat.categories) == {"a", "b", "stroma", "tumour"}
    assert list(table.obs["batch"].cat.categories) == ["B1", "b2"]
    assert table.obs["age"][~mouse].eq(50).all()
    assert table.obs["array_row"][mouse].isna().all()
    table.write_h5ad(tmp_path / "written.h5ad")
    assert read(tmp_path / "written.h5ad").obs_names.equals(table.obs_names)


def test_list_form_choice_and_one_sample_under_another_name(tables, manifest):
    path = manifest([{"name": "one", "path": "ileum"}, {"name": 2, "path": "ileum"}])
    assert list(read(path).obs["sample"].cat.categories) == ["one", "2"]
    only = read(path, ReadOptions(samples=("2",)))
    assert list(only.obs["sample"].cat.categories) == ["2"]
    assert list(only.obs["donor"].cat.categories) == ["2"]
    with pytest.raises(DataError, match="no sample three; there is one, 2"):
        read(path, ReadOptions(samples=("three",)))


def test_all_faults_of_the_manifest_come_together(tables, manifest):
    path = manifest(
        {
            "a": {"path": "nowhere"},
            "b": {"path": "ileum", "image": "missing.png", "mpp": -1},
            "c": {"path": "ileum", "image": "missing.png", "columns": {"truth": "x"}},
            "d": {"path": "ileum", "colour": "red"},
            "e": "ileum",
        },
        version=2,
    )
    with pytest.raises(DataError) as caught:
        read(path)
    text = str(caught.value)
    for message in (
        "unknown keys version",
        "a: path: there is no file or folder",
        "b: mpp: Input should be greater than 0",
        r"c: image: there is no file .*missing.png",
        "c: columns: truth cannot be set here",
        "d: colour: Extra inputs are not permitted",
        "e: the entry: Input should be",
    ):
        assert re.search(message, text), message


def test_what_is_no_manifest(tmp_path):
    path = tmp_path / "study.yml"
    path.write_text("samples: [")
    with pytest.raises(DataError, match="not YAML"):
        read(path)
    path.write_text("- 1")
    with pytest.raises(DataError, match="no «samples» with an entry"):
        read(path)
    path.write_text("samples: {}")
    with pytest.raises(DataError, match="there is no sample in it"):
        read(path)
    path.write_text("samples: {a: !!python/object/apply:os.system [ls]}")
    with pytest.raises(DataError, match="not YAML"):
        read(path)


def test_a_manifest_cannot_name_a_manifest(manifest):
    with pytest.raises(DataError, match="a manifest cannot name another one"):
        read(manifest({"a": {"path": "study.yaml"}}))


def test_names_twice(tables, manifest):
    path = manifest([{"name": "a", "path": "ileum"}, {"name": "a", "path": "ileum"}])
    with pytest.raises(DataError, match="the sample a is there more than once"):
        read(path)


def test_a_study_without_a_common_scale_is_told(st, tables, manifest):
    st("A1")
    (tables / "latent_stain.csv.gz").unlink()
    with pytest.warns(TriptychWarning, match="The samples m have no scale in µm, so the study has none"):
        table = read(manifest({"A1": {"path": "st"}, "m": {"path": "ileum"}}))
    assert "spatial_um" not in table.obsm


def test_which_of_several_samples(st, manifest):
    st("A1")
    st("B1")
    with pytest.raises(DataError, match="its path holds the samples A1, B1, none called C1"):
        read(manifest({"C1": {"path": "st"}}))


def test_faults_of_the_samples_come_together(st, tables, manifest):
    root = st("A1")
    (root / "spots" / "A1_selection.tsv").unlink()
    (tables / "cells.csv.gz").unlink()
    with pytest.raises(DataError) as caught:
        read(manifest({"A1": {"path": "st"}, "m": {"path": "ileum"}}))
    assert "A1_selection" in str(caught.value)
    assert "the file cells.csv" in str(caught.value)
