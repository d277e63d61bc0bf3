import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.errors import DataError, MissingExtraError
from triptych.readers.pictures import image_size


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 255, (40, 70, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.tif"])
def test_size_from_the_header(tmp_path, pixels, name):
    Image.fromarray(pixels).save(tmp_path / name)
    assert image_size(str(tmp_path / name)) == (70, 40)


def test_a_slide_beyond_pillows_limit(tmp_path, monkeypatch):
    Image.new("L", (300, 200)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert image_size(str(tmp_path / "a.png")) == (300, 200)


def test_tiled_tiff(tmp_path, rng):
    big = rng.integers(0, 255, (256, 512, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tiff", big, tile=(64, 64), photometric="rgb")
    assert image_size(str(tmp_path / "a.tiff")) == (512, 256)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("share", [0.0, 0.6, 0.98])
def test_truncated(tmp_path, pixels, name, share):
    path = tmp_path / name
    tifffile.imwrite(path, pixels) if name.endswith("tif") else Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="cut short|cannot be read"):
        image_size(str(path))


def test_what_is_no_image(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        image_size(str(tmp_path / "a.jpg"))
    (tmp_path / "a.gif").write_bytes(b"")
    with pytest.raises(DataError, match="not of a format that is read"):
        image_size(str(tmp_path / "a.gif"))
    with pytest.raises(DataError, match="the store .* does not exist"):
        image_size(f"{tmp_path}/none.zarr::images/he")
    with pytest.raises(DataError, match="has no readable image images/he"):
        image_size(f"{tmp_path}::images/he")


def aperio(path):
    """A slide, its thumbnail and a level, written as Aperio does."""
    pixels = np.random.default_rng(0).integers(0, 255, (512, 768, 3), dtype=np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for step, layout in ((1, {"tile": (256, 256)}), (8, {"rowsperstrip": 16}), (4, {"tile": (256, 256)})):
            said = f"Aperio Image Library v11\n{768 // step}x{512 // step} (256x256) JPEG/RGB|MPP = 0.25"
            writer.write(
                np.ascontiguousarray(pixels[::step, ::step]), photometric="rgb", compression="zlib",
                description=said, metadata=None, **layout,
            )  # fmt: skip
    return path


def test_a_scanners_slide(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)  # not asked
    assert image_size(str(aperio(tmp_path / "a.svs"))) == (768, 512)


@pytest.mark.parametrize("share", [0.001, 0.5])
def test_a_truncated_scanners_slide(tmp_path, share):
    path = aperio(tmp_path / "a.svs")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="cut short|cannot be read"):
        image_size(str(path))


def test_formats_that_openslide_reads(tmp_path, monkeypatch):
    pytest.importorskip("openslide", reason="openslide is an extra: pip install 'triptych[slides]'")
    assert image_size(str(aperio(tmp_path / "a.scn"))) == (768, 512)
    (tmp_path / "b.mrxs").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"b\.mrxs is not recognised by OpenSlide"):
        image_size(str(tmp_path / "b.mrxs"))
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError, match=r"openslide is not installed.*triptych\[slides\]"):
        image_size(str(tmp_path / "a.scn"))
