from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.errors import DataError
from triptych.tiles import picture, tiff
from triptych.tiles.slide import Slide, array_slide, open_slide

PIXELS = np.random.default_rng(0).integers(0, 256, (150, 211, 3), dtype=np.uint8)
REGIONS = [(0, 0, 211, 150), (10, 20, 33, 44), (63, 63, 2, 2), (200, 140, 11, 10), (100, 0, 1, 150)]


def crop(x0, y0, width, height):
    return PIXELS[y0 : y0 + height, x0 : x0 + width]


def same(slide: Slide) -> None:
    assert slide.shape_px == (150, 211)
    for region in REGIONS:
        found = slide.read(*region)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, crop(*region))


def test_array():
    same(array_slide(PIXELS))


def test_png(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    same(open_slide(str(tmp_path / "a.png")))


def test_opaque_png_with_a_fourth_channel(tmp_path):
    Image.fromarray(PIXELS).convert("RGBA").save(tmp_path / "a.png")
    same(open_slide(str(tmp_path / "a.png")))


def test_jpeg_is_what_pillow_decodes(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path, quality=95)
    np.testing.assert_array_equal(
        open_slide(str(path)).read(5, 6, 70, 80), np.asarray(Image.open(path))[6:86, 5:75]
    )


def test_suffix_may_lie(tmp_path):
    tifffile.imwrite(tmp_path / "a.jpg", PIXELS, photometric="rgb")
    same(open_slide(str(tmp_path / "a.jpg")))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize(
    "layout", [{}, {"tile": (64, 48)}, {"rowsperstrip": 7}], ids=["whole", "tiles", "strips"]
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff(tmp_path, compression, layout, planar):
    path = tmp_path / "a.tif"
    pixels = PIXELS if planar == "contig" else np.moveaxis(PIXELS, -1, 0)
    tifffile.imwrite(path, pixels, photometric="rgb", planarconfig=planar, compression=compression, **layout)
    same(open_slide(str(path)))


@pytest.mark.parametrize("options", [{}, {"tile": (64, 48), "compression": "zlib"}], ids=["plain", "tiles"])
def test_ome_tiff_with_a_page_per_colour(tmp_path, options):
    path = tmp_path / "a.ome.tif"
    planes = np.moveaxis(PIXELS, -1, 0)
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"}, **options)
    same(open_slide(str(path)))


def test_pyramid_gives_its_first_level(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(PIXELS, subifds=1, tile=(64, 64), photometric="rgb", compression="zlib")
        writer.write(PIXELS[::2, ::2], subfiletype=1, tile=(64, 64), photometric="rgb", compression="zlib")
    same(open_slide(str(path)))


def test_bigtiff_and_big_endian(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", bigtiff=True, byteorder=">", tile=(64, 64))
    same(open_slide(str(path)))


def test_jpeg_tiles(tmp_path):
    smooth = np.tile(np.arange(211, dtype=np.uint8)[None, :, None], (150, 1, 3))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth, photometric="rgb", tile=(64, 64), compression="jpeg")
    slide = open_slide(str(path))
    expected = tifffile.imread(path)
    np.testing.assert_array_equal(slide.read(10, 20, 100, 90), expected[20:110, 10:110])


def test_only_the_tiles_asked_for_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(64, 64), compression="zlib")
    asked = []
    plain = tiff._Page.chunk
    monkeypatch.setattr(tiff._Page, "chunk", lambda page, p, i: asked.append(i) or plain(page, p, i))
    slide = open_slide(str(path))
    assert asked == []
    slide.read(70, 70, 10, 10)
    slide.read(60, 60, 10, 10)
    assert asked == [5, 0, 1, 4]  # four tiles in a row; the second region meets tile 5 again


def test_huge_tiff_opens(tmp_path):
    """60 000 × 60 000 px of which the tiles are left out, as scanners do for glass."""
    path = tmp_path / "a.tif"
    white = np.full((512, 512, 3), 255, np.uint8)
    blank = (white if index == 0 else None for index in range(118 * 118))
    tifffile.imwrite(
        path,
        blank,
        shape=(60000, 60000, 3),
        dtype=np.uint8,
        tile=(512, 512),
        photometric="rgb",
        compression="zlib",
    )
    slide = open_slide(str(path))
    assert slide.shape_px == (60000, 60000)
    assert (slide.read(30000, 59990, 100, 5) == 255).all()


def test_white_beyond_the_border():
    found = array_slide(PIXELS).read(-3, -2, 220, 160)
    np.testing.assert_array_equal(found[2:152, 3:214], PIXELS)
    assert (found[:2] == 255).all()
    assert (found[:, :3] == 255).all()
    assert (found[152:] == 255).all()
    assert (found[:, 214:] == 255).all()


def test_white_far_away():
    assert (array_slide(PIXELS).read(500, 500, 3, 3) == 255).all()


def test_regions_are_copies():
    slide = array_slide(PIXELS)
    slide.read(0, 0, 5, 5)[:] = 0
    same(slide)


def test_store(tmp_path):
    import spatialdata
    from spatialdata.models import Image2DModel

    planes = np.moveaxis(PIXELS, -1, 0)
    images = {
        "plain": Image2DModel.parse(planes, dims=("c", "y", "x")),
        "pyramid": Image2DModel.parse(planes, dims=("c", "y", "x"), scale_factors=[2]),
        "grey": Image2DModel.parse(planes[:1], dims=("c", "y", "x")),
    }
    spatialdata.SpatialData(images=images).write(tmp_path / "s.zarr")
    for name in ("plain", "pyramid"):
        same(open_slide(f"{tmp_path}/s.zarr::images/{name}"))
    with pytest.raises(DataError, match=r"has no image plane\. Did you mean plain\?"):
        open_slide(f"{tmp_path}/s.zarr::images/plane")
    with pytest.raises(DataError, match=r"is not RGB: it has the shape \(1, 150, 211\)"):
        open_slide(f"{tmp_path}/s.zarr::images/grey")


def test_missing_store(tmp_path):
    with pytest.raises(DataError, match=r"s\.zarr does not exist"):
        open_slide(f"{tmp_path}/s.zarr::images/a")


def test_missing_file_says_what_is_there(tmp_path):
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png does not exist\. Its folder holds b\.png"):
        open_slide(str(tmp_path / "a.png"))


def test_unknown_format(tmp_path):
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="neither JPEG, PNG nor TIFF"):
        open_slide(str(tmp_path / "a.png"))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.5, 0.01])
def test_truncated_picture(tmp_path, suffix, kept):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PIXELS).save(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"is damaged|neither"):
        open_slide(str(path))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_tiff(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", compression=compression, rowsperstrip=10, software="")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(DataError, match="cut short"):
        open_slide(str(path)).read(0, 0, 211, 150)


def test_corrupted_tiles(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", compression="zlib", tile=(64, 64))
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 20] = b"x" * 20
    path.write_bytes(data)
    slide = open_slide(str(path))
    with pytest.raises(DataError, match="cannot be decoded"):
        slide.read(0, 0, 10, 10)


def test_tiff_header_only(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\xff\xff\xff\x00")
    with pytest.raises(DataError, match="cannot be decoded"):
        open_slide(str(tmp_path / "a.tif"))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (PIXELS[..., 0], "axes YX"),
        (PIXELS.astype(np.uint16), "type uint16"),
        (np.repeat(PIXELS, 2, axis=2)[..., :4], r"shape \(150, 211, 4\)"),
    ],
    ids=["grey", "16 bits", "transparent"],
)
def test_tiff_that_is_not_rgb(tmp_path, pixels, said):
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(DataError, match=f"is not RGB.*{said}"):
        open_slide(str(tmp_path / "a.tif"))


def test_picture_that_is_not_rgb(tmp_path):
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="not RGB but of Pillow's mode L"):
        open_slide(str(tmp_path / "a.png"))


def test_transparent_picture(tmp_path):
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putpixel((3, 4), (0, 0, 0, 9))
    image.save(tmp_path / "a.png")
    with pytest.raises(DataError, match="transparent in places"):
        open_slide(str(tmp_path / "a.png"))


def test_picture_too_large(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"at most 0 million.*tiled TIFF"):
        picture.decode(tmp_path / "a.png", "PNG", limit_px=1000)


def test_chunks_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "CHUNK_PX", 1000)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", compression="zlib", tile=(64, 64))
    with pytest.raises(DataError, match="in chunks of 64 × 64 px, too large"):
        open_slide(str(tmp_path / "a.tif"))


def test_array_that_is_no_slide():
    with pytest.raises(DataError, match=r"array of uint8 of shape \(150, 211\)"):
        array_slide(PIXELS[..., 0])


def test_scale_and_size_are_checked():
    with pytest.raises(ValueError, match="scale must be a positive number, got 0"):
        array_slide(PIXELS, scale=0)
    with pytest.raises(ValueError, match="at least 1 × 1 px, got 0 × 5"):
        array_slide(PIXELS).read(0, 0, 0, 5)
