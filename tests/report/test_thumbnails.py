"""Thumbnails against the whole image, shrunk by hand."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from triptych.plots.window import Window
from triptych.report import thumbnails, write_report
from triptych.report.facts import Facts, Labels
from triptych.report.thumbnails import UnreadableImageError, thumbnail
from triptych.tiles.slide import array_slide

H, W = 900, 1400


def picture():
    """A smooth gradient with a bright square, so that a shift would be seen."""
    rows, columns = np.mgrid[:H, :W]
    pixels = np.stack([columns * 200 / W, rows * 200 / H, np.full((H, W), 80)], axis=-1)
    pixels[300:500, 700:900] = 250
    return pixels.astype(np.uint8)


def facts(image="", scale=1.0, uns=None):
    table = ad.AnnData(np.zeros((1, 1), dtype=np.float32), uns=uns or {})
    meta = pd.DataFrame({"image": [str(image)], "image_scale": [scale]}, index=["s"])
    none = np.zeros(1, dtype=int)
    return Facts(table, Labels("obs:sample", ["s"], none, none, {"s": 0}), None, [], "", meta)


def check(found, window, scale=1.0):
    """Sample the thumbnail and the image at the same places of the plane."""
    truth = picture().astype(int)
    h, w = found.pixels.shape[:2]
    assert max(h, w) <= thumbnails.WANTED
    for fy in (0.15, 0.4, 0.85):
        for fx in (0.1, 0.55, 0.9):
            row, column = int(fy * h), int(fx * w)
            x = (found.extent.left + (column + 0.5) / w * found.extent.width) * scale
            y = (found.extent.top + (row + 0.5) / h * found.extent.height) * scale
            assert np.abs(found.pixels[row, column].astype(int) - truth[int(y), int(x)]).max() <= 12
    assert found.extent.left == pytest.approx(max(window.left, 0), abs=9 / scale)
    assert found.extent.bottom == pytest.approx(min(window.bottom, H / scale), abs=9 / scale)


WINDOWS = [Window(0, 0, W, H), Window(500, 200, 1300, 800), Window(-300, -300, 1100, 1200)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_formats(tmp_path, window, ending):
    path = tmp_path / f"slide.{ending}"
    Image.fromarray(picture()).save(path, **({"quality": 95} if ending == "jpg" else {}))
    check(thumbnail(facts(path), "s", window), window)


@pytest.mark.parametrize("layout", [{"tile": (128, 256)}, {"rowsperstrip": 37}])
def test_tiff_is_read_strip_by_strip(tmp_path, layout):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", compression="zlib", **layout)
    check(thumbnail(facts(path), "s", WINDOWS[0]), WINDOWS[0])


def test_pyramid_is_read_at_a_small_level(tmp_path):
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((H, W, 3), np.uint8), subifds=1, tile=(128, 128), photometric="rgb")  # not read
        file.write(picture()[::2, ::2], subfiletype=1, tile=(128, 128), photometric="rgb")
    check(thumbnail(facts(path), "s", WINDOWS[0]), WINDOWS[0])


def test_image_at_another_scale(tmp_path):
    path = tmp_path / "slide.png"
    Image.fromarray(picture()).save(path)
    window = Window(0, 0, W * 5, H * 5)
    check(thumbnail(facts(path, 0.2), "s", window), window, scale=0.2)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_kept_image_is_used_when_there_is_no_file(kind):
    pixels = picture() if kind is np.uint8 else (picture() / 255).astype(kind)
    uns = {"spatial": {"s": {"images": {"lowres": pixels}, "scalefactors": {"tissue_lowres_scalef": 0.1}}}}
    window = Window(0, 0, W * 10, H * 10)
    check(thumbnail(facts("gone.jpg", uns=uns), "s", window), window, scale=0.1)


def test_no_image_or_none_in_the_window(tmp_path):
    assert thumbnail(facts(), "s", WINDOWS[0]) is None
    path = tmp_path / "slide.png"
    Image.fromarray(picture()).save(path)
    assert thumbnail(facts(path), "s", Window(9000, 9000, 9900, 9900)) is None


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_broken_file_is_told(tmp_path, ending):
    path = tmp_path / f"slide.{ending}"
    path.write_bytes(b"not an image")
    with pytest.raises(UnreadableImageError, match=rf"slide\.{ending} cannot be shown"):
        thumbnail(facts(path), "s", WINDOWS[0])


def test_tiff_that_is_no_photograph_is_told(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.zeros((50, 60), dtype=np.uint16))
    with pytest.raises(UnreadableImageError, match="slide.tif cannot be shown: .* is not RGB"):
        thumbnail(facts(path), "s", WINDOWS[0])


def test_page_goes_on_without_a_broken_image(table, record, tmp_path):
    (tmp_path / "tissue.jpg").write_bytes(b"not an image")
    text = write_report(table, record, tmp_path / "out").read_text()
    assert text.count("tissue.jpg cannot be shown") == 3
    assert "Known labels" in text


def test_image_in_a_store_is_read_strip_by_strip(tmp_path, monkeypatch):
    (tmp_path / "study.zarr").mkdir()
    slide = replace(array_slide(picture(), 0.5), chunk_px=(70, 70))
    monkeypatch.setattr(thumbnails, "open_slide", lambda reference, scale: slide)
    window = Window(0, 0, W * 2, H * 2)
    check(thumbnail(facts(f"{tmp_path / 'study.zarr'}::images/he", 0.5), "s", window), window, scale=0.5)


def test_image_missing_from_its_store_is_told(tmp_path):
    (tmp_path / "study.zarr").write_text("no store")
    with pytest.raises(UnreadableImageError, match=r"does not exist"):
        thumbnail(facts(f"{tmp_path / 'study.zarr'}::images/he"), "s", WINDOWS[0])


@pytest.mark.data
@pytest.mark.parametrize("name", ["151510", "151673"])
def test_observations_of_a_real_section_lie_on_its_tissue(name):
    path = Path(os.environ.get("TRIPTYCH_DATA", ".")) / "dlpfc" / f"{name}.h5ad"
    if not path.is_file():
        pytest.skip("TRIPTYCH_DATA does not name a folder with dlpfc")
    table = ad.read_h5ad(path)
    xy = table.obsm["spatial"]
    none = np.zeros(table.n_obs, dtype=int)
    whole = Facts(table, Labels("obs:sample", [name], none, none, {name: 0}), None, [], "")
    window = Window.around(xy)
    found = thumbnail(whole, name, window)
    h, w = found.pixels.shape[:2]
    columns = ((xy[:, 0] - found.extent.left) / found.extent.width * w).astype(int)
    rows = ((xy[:, 1] - found.extent.top) / found.extent.height * h).astype(int)
    under = found.pixels[rows, columns, 1].mean()  # green is what pink and violet lack
    mirrored = found.pixels[rows, w - 1 - columns, 1].mean()
    everywhere = found.pixels[..., 1].mean()
    assert under < everywhere
    assert under < mirrored
