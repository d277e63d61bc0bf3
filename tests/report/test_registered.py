"""The chapter of registration: what it says of each section, and the crop that it shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.report import registered
from triptych.report.facts import gather
from triptych.report.registered import TABLE, registered_section, registrations

PARTS = ("x_px", "y_px", "dx_px", "dy_px", "scale", "score_before", "score", "nuclei", "used")
PITCH = 200.0


@pytest.fixture
def moved(table, record, tmp_path):
    """The first section was moved by (20, -10) px, the second is refused, the third has no outlines."""
    names = list(table.obs["sample"].cat.categories)
    xy = table.obsm["spatial"]
    table.obsm["spatial_registered"] = xy + np.array([20.0, -10.0])
    table.obsm["spatial_registered"][(table.obs["sample"] == names[1]).to_numpy()] = np.nan
    first = np.flatnonzero(table.obs["sample"] == names[0])
    table.obs["cell_id"] = [f"cell {i}" for i in range(table.n_obs)]
    corners = np.array([[-9, -9], [9, -9], [9, 9], [-9, 9]])
    rings = (xy[first][:, None] + corners).reshape(-1, 2)
    path = tmp_path / "nucleus_boundaries.parquet"
    pd.DataFrame({
        "cell_id": np.repeat(table.obs["cell_id"].to_numpy()[first], 4),
        "vertex_x": rings[:, 0], "vertex_y": rings[:, 1],
    }).to_parquet(path)  # fmt: skip
    samples = table.uns["triptych"]["samples"]
    samples["nucleus_boundaries"] = [str(path), "", ""]
    place = xy[first[len(first) // 2]]
    rows = [
        (*place, 20.0, -10.0, 1.002, 3.0, 12.0, 40, True), (0.0, 0.0, -30.0, 9.0, 1.002, 1.0, 2.0, 30, False),
        (*place, 20.4, -10.2, 1.002, 4.0, 11.0, 40, True),
    ]  # fmt: skip
    frames = [
        pd.DataFrame(rows, columns=PARTS).assign(sample=names[0], refused=""),
        pd.DataFrame(rows[1:2], columns=PARTS).assign(sample=names[1], refused="they lie elsewhere <b>"),
        pd.DataFrame(rows, columns=PARTS).assign(sample=names[2], refused=""),
    ]
    return table, replace(record, tables={TABLE: pd.concat(frames, ignore_index=True)})


@pytest.fixture
def crops(monkeypatch):
    """What the crops are made of."""
    found = []
    monkeypatch.setattr(registered, "outlines_on", lambda ax, *parts: found.append(parts))
    return found


def section(moved, sketch):
    return registered_section(sketch, gather(*moved), moved[1])


def test_the_table_tells_shift_scale_scores_and_verdict(moved, sketch, crops, hostile):
    html = section(moved, sketch)
    assert "10.1, −5.0 µm" in html  # the median of both regions that count, at 0.5 µm per pixel
    for words in ("1.0020", "3.0", "11.0", "2 of 3", "refused: they lie elsewhere &lt;b&gt;"):
        assert f">{words}<" in html
    assert hostile not in html


def test_the_crop_shows_outlines_before_and_after(moved, sketch, crops):
    section(moved, sketch)
    assert len(crops) == 1
    pixels, extent, before, after = crops[0]
    place = moved[0].obsm["spatial"][np.flatnonzero(moved[0].obs["sample"].cat.codes == 0)]
    inside = (place > [extent.left - 9, extent.top - 9]) & (place < [extent.right + 9, extent.bottom + 9])
    assert len(before.row) == inside.all(axis=1).sum() >= 1
    np.testing.assert_allclose(after.px - before.px, np.tile([20, -10], (len(before.px), 1)), atol=1e-3)
    about = moved[0].uns["triptych"]["samples"].iloc[0]
    picture = np.asarray(Image.open(about["image"]).convert("RGB"))
    x0, y0 = round(extent.left * 0.2), round(extent.top * 0.2)
    np.testing.assert_array_equal(pixels, picture[y0 : y0 + pixels.shape[0], x0 : x0 + pixels.shape[1]])
    assert extent.width == pytest.approx(pixels.shape[1] / 0.2)


def test_every_section_has_its_arrows(moved, sketch, crops, monkeypatch):
    seen = []
    monkeypatch.setattr(registered, "arrows", lambda ax, xy, by, score, **_: seen.append(score))
    html = section(moved, sketch)
    assert len(seen) == 3
    np.testing.assert_array_equal(seen[0], [12, np.nan, 11])  # what did not count is grey
    assert html.count("Shift found in each region of") == 3


def test_why_there_is_no_crop(moved, sketch, crops):
    html = section(moved, sketch)
    assert html.count("No crop is shown: no region agrees on a shift.") == 1
    assert html.count("Its crop cannot be shown") == 1  # the third has no file of outlines
    moved[0].uns["triptych"]["samples"]["image"] = "gone.jpg"
    assert section(moved, sketch).count("There is no image of it.") == 2


def test_a_damaged_image_is_told(moved, sketch, crops, tmp_path):
    path = Path(tmp_path) / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff not a picture")
    moved[0].uns["triptych"]["samples"]["image"] = str(path)
    assert "Its crop cannot be shown" in section(moved, sketch)
    assert not crops


def test_more_sections_than_are_listed(moved, sketch, crops, monkeypatch):
    monkeypatch.setattr(registered, "MOST", 2)
    monkeypatch.setattr(registered, "DRAWN", 1)
    html = section(moved, sketch)
    assert "The first 2 of 3 sections are listed" in html
    assert len(sketch.written) == 2


def test_a_table_that_was_read_back_says_the_same(moved, sketch, crops, tmp_path):
    table, record = moved
    path = tmp_path / "registration.csv"
    record.tables[TABLE].to_csv(path, index=False)
    back = replace(record, tables={TABLE: pd.read_csv(path)})
    assert section((table, back), sketch) == section(moved, sketch)


def test_nothing_registered_nothing_said(table, record, sketch):
    assert registrations(record) is None
    other = replace(record, tables={TABLE: pd.DataFrame({"x": [1]})})
    assert registrations(other) is None
    assert "No region" in registered_section(sketch, gather(table, other), other)
