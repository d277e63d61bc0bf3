"""The gallery of what was taken for background, against crops of the picture by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.pipeline.record import StepRecord
from triptych.report import dropped
from triptych.report.dropped import MOST, dropped_block
from triptych.report.facts import gather

SLOT, RGB = "obsm:abundance.mlp", "obsm:X_img.rgb"


@pytest.fixture
def lost(table, record):
    """The brightest fifth of the rows is not predicted."""
    n = table.n_obs
    bright = np.random.default_rng(0).permutation(n) / n
    table.obsm["X_img.rgb"] = np.repeat(255 * bright[:, None], 3, axis=1)
    truth = np.random.default_rng(1).dirichlet(np.ones(3), n)
    guess = truth.copy()
    guess[bright > 0.8] = np.nan
    truth[:2] = np.nan  # not known: nothing was lost there
    for key, values in (("abundance", truth), ("abundance.mlp", guess)):
        table.obsm[key] = pd.DataFrame(values, index=table.obs_names, columns=list("abc"))
    rgb = StepRecord(1, "encode", "mean-rgb", RGB, {}, {"window_um": 50.0, "window_px": 0}, "sample", {})
    reads = {"views.x": "obsm:X_img.uni", "target": "obsm:abundance", "background": RGB}
    predict = StepRecord(2, "predict", "mlp", SLOT, reads, {}, "study", {"study": "k"})
    return table, replace(record, steps=[rgb, predict])


@pytest.fixture
def seen(monkeypatch):
    """The patches of each gallery."""
    found = []
    monkeypatch.setattr(dropped, "patches", lambda ax, pixels, columns: found.append(pixels))
    return found


def block(lost, sketch):
    return dropped_block(sketch, gather(*lost), lost[1])


def test_a_gallery_for_each_section_says_how_many_there_are(lost, sketch, seen, hostile):
    table = lost[0]
    html = block(lost, sketch)
    gone = np.isnan(table.obsm["abundance.mlp"].to_numpy()).any(axis=1)
    gone &= ~np.isnan(table.obsm["abundance"].to_numpy()).any(axis=1)
    for name in table.obs["sample"].cat.categories:
        here = (table.obs["sample"] == name).to_numpy()
        assert f"{int((gone & here).sum())} of {int(here.sum())} observations dropped" in html
    assert len(sketch.written) == len(seen) == 3
    assert hostile not in html


def test_patches_are_the_darkest_and_cut_where_they_lie(lost, sketch, seen, monkeypatch):
    table, _ = lost
    monkeypatch.setattr(dropped, "MOST", 4)
    html = block(lost, sketch)
    assert "the 4 darkest are shown" in html
    about = table.uns["triptych"]["samples"].iloc[0]
    picture = np.asarray(Image.open(about["image"]).convert("RGB")).astype(float)
    mean = table.obsm["X_img.rgb"].mean(axis=1)
    here = (table.obs["sample"] == table.obs["sample"].cat.categories[0]).to_numpy()
    gone = np.isnan(table.obsm["abundance.mlp"].to_numpy()).any(axis=1)
    gone &= here & ~np.isnan(table.obsm["abundance"].to_numpy()).any(axis=1)
    rows = np.flatnonzero(gone)[np.argsort(mean[gone])][:4]
    side = 50 / (about["mpp"] / about["image_scale"])  # 20 px
    for row, patch in zip(rows, seen[0], strict=True):
        left, top = (
            int(np.floor(v * about["image_scale"] - side / 2 + 0.5)) for v in table.obsm["spatial"][row]
        )
        wanted = picture[top : top + 20, left : left + 20]
        assert np.abs(patch.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < 3


def test_a_window_in_pixels_goes_first(lost, sketch, seen, monkeypatch):
    table, record = lost
    sides = []
    real = dropped.Windows
    monkeypatch.setattr(dropped, "Windows", lambda c, s, o: sides.append(s) or real(c, s, o))
    block(lost, sketch)
    first = replace(record.steps[0], params={"window_um": 50.0, "window_px": 32})
    block((table, replace(record, steps=[first, record.steps[1]])), sketch)
    assert sides == pytest.approx([20] * 3 + [32] * 3)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("image", "", "There is no image of it."), ("image", "gone.jpg", "There is no image of it."),
     ("mpp", np.nan, "Its image has no scale.")],
)  # fmt: skip
def test_without_an_image_only_the_number_is_told(lost, sketch, seen, column, value, words):
    lost[0].uns["triptych"]["samples"][column] = value
    html = block(lost, sketch)
    assert html.count(words) == 3
    assert not seen


def test_a_damaged_image_is_told(lost, sketch, seen, tmp_path):
    path = Path(tmp_path) / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff not a picture")
    lost[0].uns["triptych"]["samples"]["image"] = str(path)
    assert block(lost, sketch).count("Its image cannot be shown") == 3


def test_nothing_dropped_nothing_said(lost, sketch, seen):
    table, record = lost
    table.obsm["abundance.mlp"] = table.obsm["abundance"]
    assert block(lost, sketch) == ""
    del table.obsm["abundance"]
    assert block((table, record), sketch) == ""


def test_what_no_rule_dropped_is_not_called_background(lost, sketch, seen):
    table, record = lost
    step = replace(record.steps[1], reads={"target": "obsm:abundance"})
    assert block((table, replace(record, steps=[step])), sketch) == ""


def test_without_the_mean_colours_the_first_are_shown(lost, sketch, seen):
    del lost[0].obsm["X_img.rgb"]
    block(lost, sketch)
    assert [len(one) <= MOST for one in seen] == [True] * 3


def test_more_sections_than_are_drawn(lost, sketch, seen, monkeypatch):
    monkeypatch.setattr(dropped, "SECTIONS", 1)
    assert block(lost, sketch).count("not drawn") == 2
    assert len(seen) == 1
