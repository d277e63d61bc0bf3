"""Registration between the table and the registrars: places move, and what is refused is NaN."""

import numpy as np
import pytest
from skimage.transform import rescale

from triptych.core.errors import DataError
from triptych.core.nuclei import Registration
from triptych.pipeline.cache import Cache
from triptych.pipeline.recipe import parse
from triptych.pipeline.registering import COLUMNS, FoundShift, gathered, notes_of, registered, table_of
from triptych.pipeline.run import run
from triptych.pipeline.study import Study
from triptych.readers.read import read
from triptych.registrars.none import NoRegistration
from triptych.registrars.stain_correlation import StainCorrelation

from ..journeys.nuclei_study import SECTIONS, write, write_picture  # noqa: TID252

SEARCH = StainCorrelation(max_shift_um=2, region_um=48, least_score=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("nuclei"), SECTIONS[::3])


@pytest.fixture
def table(folder):
    return read(folder)


def recipe(use="stain-correlation", with_="{max_shift_um: 2, region_um: 48, least_score: 2}"):
    return parse(f"name: s\nsteps:\n  - {{do: register, use: {use}, with: {with_}}}\n", "s")


def test_the_shift_is_found_and_every_nucleus_moves_by_it(table):
    one = SECTIONS[0]
    places, found = registered(SEARCH, gathered(Study(table), one.name))
    assert not found.refused
    assert found.shift_um == pytest.approx(one.shift_um, abs=0.4)
    mine = (table.obs["sample"] == one.name).to_numpy()
    assert np.median(places - table.obsm["spatial"][mine], axis=0) * one.mpp == pytest.approx(found.shift_um)
    assert found.chosen == {
        "shift_x_um": found.shift_um[0], "shift_y_um": found.shift_um[1],
        "score": found.score, "refused": 0.0,
    }  # fmt: skip


def test_the_picture_is_shown_in_pixels_of_full_resolution(table):
    """Its file may hold half of them each way."""
    seen = {}

    class Looks:
        def register(self, outlines, centres_px, picture, mpp):
            seen.update(shape=picture.shape_px, mpp=mpp, pixels=picture.read(40, 40, 60, 60))
            return NoRegistration().register(outlines, centres_px, picture, mpp)

    one = SECTIONS[0]
    small = rescale(one.picture(), 0.5, channel_axis=-1, anti_aliasing=True, preserve_range=True)
    write_picture(table_root := root_of(table), one, small.astype(np.uint8))
    table.uns["triptych"]["samples"].loc[one.name, "image_scale"] = 0.5
    registered(Looks(), gathered(Study(table), one.name))
    write_picture(table_root, one)
    assert seen["shape"] == (192, 192)
    assert seen["mpp"] == one.mpp
    assert np.abs(seen["pixels"].astype(int) - one.picture()[40:100, 40:100]).mean() < 12


def root_of(table):
    from pathlib import Path

    return Path(table.uns["triptych"]["samples"].loc["K1", "image"]).parents[1]


class Refuses:
    """Refuses what it is shown."""

    def register(self, outlines, centres_px, picture, mpp):
        none = NoRegistration().register(outlines, centres_px, picture, mpp)
        return Registration(none.shift_px, none.regions, 1.5, "they lie elsewhere")


def test_places_of_a_refused_section_are_missing(table):
    places, found = registered(Refuses(), gathered(Study(table), "K1"))
    assert np.isnan(places).all()
    assert found.chosen["refused"] == 1
    assert notes_of({"K1": found, "B2": registered(NoRegistration(), gathered(Study(table), "B2"))[1]}) == [
        "K1 is refused and its nuclei are not learned from: they lie elsewhere"
    ]


def test_no_registration_leaves_places_as_they_are(table):
    record = run(recipe("none", "{}"), table).record
    assert np.array_equal(table.obsm["spatial_registered"], table.obsm["spatial"])
    assert record.tables["registration"].empty


def test_what_was_found_lies_in_the_record_and_in_the_cache(table, tmp_path):
    cache, twin = Cache(tmp_path / "cache"), table.copy()
    first = run(recipe(), table, cache=cache).record
    second = run(recipe(), twin, cache=cache).record
    assert set(second.steps[0].state.values()) == {"cached"}
    frame = first.tables["registration"]
    assert list(frame)[:10] == ["sample", *COLUMNS]
    assert set(frame["sample"]) == {"K1", "B2"}
    assert frame["used"].dtype == bool
    assert second.tables["registration"].equals(frame)
    assert table.obsm["spatial_registered"].tobytes() == twin.obsm["spatial_registered"].tobytes()


def test_the_table_of_regions_names_the_section_of_each():
    regions = np.arange(18, dtype=float).reshape(2, 9)
    found = FoundShift(regions, 4.5, np.array([1.0, 2.0]), "")
    frame = table_of({"A": found, "B": FoundShift(regions[:1], 1.0, np.zeros(2), "why")})
    assert frame["sample"].tolist() == ["A", "A", "B"]
    assert frame["section_score"].tolist() == [4.5, 4.5, 1.0]
    assert frame["refused"].tolist() == ["", "", "why"]
    assert frame["x_px"].tolist() == [0.0, 9.0, 0.0]


def test_a_section_without_outlines_or_scale_is_refused_at_the_door(table):
    table.uns["triptych"]["samples"].loc["K1", "nucleus_boundaries"] = ""
    with pytest.raises(DataError, match=r"K1 has no outlines of nuclei.*segment\.learn_from=known"):
        gathered(Study(table), "K1")
    table.uns["triptych"]["samples"].loc["B2", "mpp"] = np.nan
    with pytest.raises(DataError, match="B2 has no µm per pixel"):
        gathered(Study(table), "B2")
