"""Windows cut when they are asked for: those of the rows, in their order, whatever the sections."""

import pickle  # noqa: TID251
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from triptych.core.abundance import WindowSource
from triptych.core.errors import DataError, MissingSlotError
from triptych.pipeline import window_source
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.window_source import SlideWindows

from .test_folding import scattered

SIDE = 20
SEES = SimpleNamespace(window_um=40.0, window_px=0, tile_px=SIDE)  # 20 px at 2 µm


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 256, (900, 900, 3), dtype=np.uint8) for name in ("A1", "B1")}


@pytest.fixture
def table(make_table, pictures, tmp_path):
    made = make_table(samples=("A1", "B1"))
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        made.uns["triptych"]["samples"].loc[name, "image"] = str(tmp_path / f"{name}.png")
    return made


def source(table, sees=SEES):
    return SlideWindows.of(sees, Study(table).pixels(STUDY))


def expected(table, pictures, rows):
    """Cut by hand."""
    out = []
    for row in rows:
        x, y = (table.obsm["spatial"][row] - SIDE / 2).astype(int)
        out.append(pictures[str(table.obs["sample"].iloc[row])][y : y + SIDE, x : x + SIDE])
    return np.array(out)


@pytest.mark.parametrize("order", [lambda table: table, scattered])
def test_windows_are_those_of_the_rows_in_their_order(table, pictures, order, rng):
    table = order(table)
    found = source(table)
    assert isinstance(found, WindowSource)
    assert len(found) == table.n_obs
    rows = rng.permutation(table.n_obs)[:90]  # more than are cut at once, of both sections
    np.testing.assert_array_equal(found.take(rows), expected(table, pictures, rows))


def test_some_rows_are_a_source_of_their_own(table, pictures, rng):
    chosen = rng.permutation(table.n_obs)[:30]
    part = source(table).some(chosen)
    assert len(part) == 30
    rows = np.array([7, 0, 29, 7])
    np.testing.assert_array_equal(part.take(rows), expected(table, pictures, chosen[rows]))
    again = part.some(np.array([3, 3]))
    np.testing.assert_array_equal(again.take(np.array([1])), expected(table, pictures, chosen[[3]]))


def test_no_rows_are_no_windows(table):
    assert source(table).take(np.empty(0, np.int64)).shape == (0, SIDE, SIDE, 3)
    assert len(source(table).some(np.empty(0, np.int64))) == 0


def test_nothing_is_opened_before_windows_are_asked_for(table, monkeypatch):
    opened = []
    real = window_source.open_slide
    monkeypatch.setattr(window_source, "open_slide", lambda path, *a: opened.append(path) or real(path, *a))
    found = source(table).some(np.arange(10))
    assert opened == []
    found.take(np.arange(3))
    assert [path.rpartition("/")[2] for path in opened] == ["A1.png"]


def test_it_goes_to_other_processes(table, pictures):
    found = pickle.loads(pickle.dumps(source(table)))  # noqa: S301
    np.testing.assert_array_equal(found.take(np.array([5])), expected(table, pictures, [5]))


def test_sides_follow_the_scale_of_each_section(table):
    table.uns["triptych"]["samples"].loc["B1", "mpp"] = 4.0
    assert source(table).sides_px == (20.0, 10.0)
    sees = SimpleNamespace(window_um=40.0, window_px=16, tile_px=SIDE)
    assert SlideWindows.of(sees, Study(table).pixels(STUDY, scaled=False)).sides_px == (16, 16)


def test_what_is_missing_is_told(table):
    table.uns["triptych"]["samples"].loc["B1", "mpp"] = np.nan
    with pytest.raises(DataError, match="B1 has no µm per pixel"):
        source(table)
    table.uns["triptych"]["samples"].loc["B1", "image"] = ""
    with pytest.raises(MissingSlotError, match="no image of B1"):
        source(table)
