from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from triptych.core.errors import CacheError, RecipeError
from triptych.readers import registry
from triptych.readers.layouts import ReadOptions
from triptych.readers.toy import reader, study
from triptych.readers.toy.reader import Toy

SMALL = Toy(side=8, genes=120)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_recognises_its_word_only(tmp_path):
    assert SMALL.recognises(Path("toy"))
    assert not SMALL.recognises(Path("toys"))
    assert not SMALL.recognises(tmp_path / "toy")


def test_names_of_the_samples(cache):
    assert Toy().samples(Path("toy")) == ["A1", "A2", "B1", "B2"]
    assert not cache.exists()


def test_reads_what_was_made():
    table = SMALL.read(Path("toy"), ReadOptions())
    made = study.Toy(side=8, genes=120).make()
    assert list(table.obs["sample"].unique()) == ["A1", "A2", "B1", "B2"]
    assert list(table.obs["donor"].unique()) == ["A", "B"]
    assert list(table.var_names) == list(made.genes)
    for section in made.sections:
        part = table[table.obs["sample"] == section.name]
        np.testing.assert_array_equal(part.layers["counts"].toarray(), section.counts.toarray())
        np.testing.assert_allclose(part.obsm["spatial"], section.spatial_px, atol=0.01)
        truth = part.obs["truth"]
        np.testing.assert_array_equal(truth.notna(), section.labelled)
        known = np.take(made.domains, section.domain)[section.labelled]
        np.testing.assert_array_equal(truth[section.labelled].astype(str), known)
        np.testing.assert_allclose(part.obsm["abundance"], section.abundance, rtol=1e-6)
    about = table.uns["triptych"]["samples"]
    np.testing.assert_allclose(about["mpp"].astype(float), made.mpp, rtol=1e-3)
    assert all(Path(image).is_file() for image in about["image"])


def test_options_are_passed_on():
    table = SMALL.read(Path("toy"), ReadOptions(samples=("B1",)))
    assert set(table.obs["sample"]) == {"B1"}


def test_is_written_once(monkeypatch):
    first = SMALL.folder()
    monkeypatch.setattr(reader, "write_spatial_transcriptomics", lambda *_: pytest.fail("written again"))
    assert SMALL.folder() == first


def test_other_parameters_lie_elsewhere():
    assert Toy(side=8, genes=121).folder() != SMALL.folder()


def test_another_revision_lies_elsewhere(monkeypatch):
    first = SMALL.folder()
    monkeypatch.setattr(study.Toy, "revision", 99)
    assert SMALL.folder() != first


def test_many_at_once_leave_one_whole_study(cache):
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: SMALL.folder(), range(4)))
    assert len(set(folders)) == 1
    assert [path.name for path in (cache / "toy").iterdir()] == [folders[0].name]
    assert len(list(folders[0].rglob("*.jpg"))) == 4


def test_a_killed_writer_leaves_nothing_to_be_read(cache, monkeypatch):
    def killed(_study, folder):
        (folder / "counts").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(reader, "write_spatial_transcriptomics", killed)
    with pytest.raises(KeyboardInterrupt):
        SMALL.folder()
    assert list((cache / "toy").iterdir()) == []


def test_cache_that_is_a_file(cache):
    cache.write_text("")
    with pytest.raises(CacheError, match=r"toy study cannot be written to .*TRIPTYCH_CACHE_DIR"):
        SMALL.folder()


def test_registry_builds_and_checks_it():
    assert registry.make("toy", {"donors": 3}) == Toy(donors=3)
    with pytest.raises(RecipeError, match="donors must be from 1 to 26"):
        registry.make("toy", {"donors": 0})
