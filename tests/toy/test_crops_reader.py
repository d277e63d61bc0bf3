import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.core.errors import CacheError, RecipeError
from triptych.readers import registry
from triptych.readers.affine import transform
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.readers.toy import crops, crops_reader
from triptych.readers.toy.crops_reader import ToyCrops
from triptych.readers.toy.write_merscope import write_merscope
from triptych.readers.transcripts import cell_rows, read_molecules

SMALL = ToyCrops(cells=60, sections=2)
WORD = Path("toy-crops")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_recognises_its_word_only(tmp_path):
    assert SMALL.recognises(WORD)
    assert not SMALL.recognises(Path("toy"))
    assert not SMALL.recognises(tmp_path / "toy-crops")


def test_names_of_the_samples(cache):
    assert SMALL.samples(WORD) == ["A1", "B1"]
    assert not cache.exists()


def test_reads_what_was_made():
    table = SMALL.read(WORD, ReadOptions())
    samples = table.uns["triptych"]["samples"]
    for region in crops.ToyCrops(cells=60, sections=2).make():
        rows = np.flatnonzero(table.obs["sample"] == region.name)
        part = table[rows]
        np.testing.assert_array_equal(part.layers["counts"].toarray(), region.counts.toarray()[:, :24])
        np.testing.assert_allclose(part.obsm["spatial"], region.shapes.centre_px, atol=1e-4)
        np.testing.assert_array_equal(part.obs["truth"], np.array(crops.TYPES)[region.kind])
        about = samples.loc[region.name]
        matrix = np.array(json.loads(about.stain_matrix))
        px = transform(matrix, part.obsm["spatial_um"])
        np.testing.assert_allclose(px, region.shapes.centre_px, atol=1e-4)
        assert about.mpp == pytest.approx(0.108)
        for name, file in json.loads(about.stains).items():
            np.testing.assert_array_equal(
                tifffile.memmap(file, mode="r"), region.stains[name]
            )  # uncompressed
        found = read_molecules(about.transcripts, table.var_names)
        real = region.gene < 24
        np.testing.assert_array_equal(found.gene, region.gene[real])
        np.testing.assert_allclose(transform(matrix, found.um.astype(float)), region.px[real], atol=0.01)
        inside = cell_rows(table.obs_names[rows], region.name, found.cell)
        np.testing.assert_array_equal(inside, region.cell[real])
        counted = np.zeros((60, 24), int)
        np.add.at(counted, (inside[inside >= 0], found.gene[inside >= 0]), 1)
        np.testing.assert_array_equal(part.layers["counts"].toarray(), counted)


def test_the_word_and_the_folder_of_that_name(tmp_path, monkeypatch):
    table = read("toy-crops")
    assert table.shape == (600, 24)
    assert list(table.obs["truth"].cat.categories) == list("ABCDE")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy-crops").mkdir()
    with pytest.raises(ValueError, match="no known layout"):
        read("./toy-crops")


def test_files_depend_on_nothing_but_the_seed(tmp_path):
    for copy in ("one", "two"):
        write_merscope(tmp_path / copy, next(iter(crops.ToyCrops(cells=60).make())))
    names = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*.*"))
    assert [str(name) for name in names] == [
        "cell_by_gene.csv",
        "cell_metadata.csv",
        "detected_transcripts.csv",
        "images/micron_to_mosaic_pixel_transform.csv",
        "images/mosaic_DAPI_z0.tif",
        "images/mosaic_Membrane_z0.tif",
    ]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_is_written_once(monkeypatch):
    first = SMALL.folder()
    monkeypatch.setattr(crops_reader, "write_merscope", lambda *_: pytest.fail("written again"))
    assert SMALL.folder() == first
    monkeypatch.setattr(crops.ToyCrops, "revision", 99)
    with pytest.raises(pytest.fail.Exception):
        SMALL.folder()


def test_cache_that_is_a_file(cache):
    cache.write_text("")
    with pytest.raises(CacheError, match=r"toy study cannot be written to .*TRIPTYCH_CACHE_DIR"):
        SMALL.folder()


def test_registry_builds_and_checks_it():
    assert registry.make("toy-crops", {"sections": 3}) == ToyCrops(sections=3)
    with pytest.raises(RecipeError, match="sections must be from 1 to 26"):
        registry.make("toy-crops", {"sections": 0})
