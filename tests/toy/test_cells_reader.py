from pathlib import Path

import numpy as np
import pytest

from triptych.core.errors import CacheError, RecipeError
from triptych.readers import registry
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.readers.toy import cells, cells_reader
from triptych.readers.toy.cells_reader import ToyCells

SMALL = ToyCells(cells=60)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_recognises_its_word_only(tmp_path):
    assert SMALL.recognises(Path("toy-cells"))
    assert not SMALL.recognises(Path("toy"))
    assert not SMALL.recognises(tmp_path / "toy-cells")


def test_names_of_the_samples(cache):
    assert ToyCells(sections=3).samples(Path("toy-cells")) == ["A1", "B1", "C1"]
    assert not cache.exists()


def test_reads_what_was_made():
    table = SMALL.read(Path("toy-cells"), ReadOptions())
    for bundle in cells.ToyCells(cells=60).make():
        part = table[table.obs["sample"] == bundle.name]
        np.testing.assert_array_equal(part.layers["counts"].toarray(), bundle.counts.toarray()[:, :60])
        np.testing.assert_allclose(part.obsm["spatial_um"], bundle.um)
        np.testing.assert_array_equal(part.obs["truth"].astype(str), bundle.kind)
    assert list(table.obs["donor"].cat.categories) == ["A1", "B1"]


def test_the_word_and_the_folder_of_that_name(tmp_path, monkeypatch):
    table = read("toy-cells")
    assert 1100 < table.n_obs < 1300
    assert table.n_vars == 60
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy-cells").mkdir()
    with pytest.raises(ValueError, match="no known layout"):
        read("./toy-cells")


def test_is_written_once(monkeypatch):
    first = SMALL.folder()
    monkeypatch.setattr(cells_reader, "write_xenium", lambda *_: pytest.fail("written again"))
    assert SMALL.folder() == first
    monkeypatch.setattr(cells.ToyCells, "revision", 99)
    with pytest.raises(pytest.fail.Exception):
        SMALL.folder()


def test_cache_that_is_a_file(cache):
    cache.write_text("")
    with pytest.raises(CacheError, match=r"toy study cannot be written to .*TRIPTYCH_CACHE_DIR"):
        SMALL.folder()


def test_registry_builds_and_checks_it():
    assert registry.make("toy-cells", {"sections": 3}) == ToyCells(sections=3)
    with pytest.raises(RecipeError, match="sections must be from 1 to 26"):
        registry.make("toy-cells", {"sections": 0})
