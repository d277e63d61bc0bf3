"""Grey planes of every layout equal what was written, and each refusal says why."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.errors import CacheError, DataError, MissingExtraError, TriptychError
from triptych.tiles import planes, tiff_coding, tiff_planes
from triptych.tiles.planes import open_plane, planes_shape

STACK = np.random.default_rng(0).integers(0, 60_000, (4, 150, 211), dtype=np.uint16)
PLANE = STACK[0]
LAYOUTS = {
    "whole": {"rowsperstrip": 150}, "strips": {"rowsperstrip": 7}, "tiles": {"tile": (64, 48)},
}  # fmt: skip
CODINGS = {
    "plain": {}, "deflate": {"compression": "zlib"},
    "predicted": {"compression": "zlib", "predictor": 2}, "lzw": {"compression": "lzw"},
}  # fmt: skip


def written(path: Path, pixels=PLANE, **options) -> str:
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    return str(path)


def same(found, expected):
    assert found.ndim == 2
    assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(params=[2**25, 20_000], ids=["one band", "many bands"])
def _bands(request, monkeypatch):
    for module in (planes, tiff_planes):
        monkeypatch.setattr(module, "BAND_BYTES", request.param)


@pytest.mark.usefixtures("_bands")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_tiff(tmp_path, layout, coding, order):
    name = written(tmp_path / "a.tif", byteorder=order, **LAYOUTS[layout], **CODINGS[coding])
    assert planes_shape(name) == (150, 211)
    for reference in (name, f"{name}::0"):
        same(open_plane(reference), PLANE)
        kept = open_plane(reference, tmp_path / "kept")
        assert isinstance(kept, np.memmap)
        same(kept, PLANE)
    stored = coding == "plain" and layout != "tiles"
    assert len(list((tmp_path / "kept").glob("*"))) == (not stored)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4", "f8"])
@pytest.mark.parametrize("coding", ["plain", "deflate"])
def test_types_are_kept(tmp_path, dtype, coding):
    pixels = (PLANE % 251).astype(dtype)
    if pixels.dtype.kind == "f":
        pixels[3, 4] = np.nan
    name = written(tmp_path / "a.tif", pixels, **CODINGS[coding])
    same(open_plane(name), pixels)
    same(open_plane(name, tmp_path / "kept"), pixels)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ome.tif", {"metadata": {"axes": "CYX"}}),
        ("a.ome.tif", {"metadata": {"axes": "ZYX"}, "tile": (64, 48)}),
        ("a.tif", {"metadata": None}),
        ("a.tif", {"rowsperstrip": 11}),
        ("a.tif", {"tile": (32, 64)}),
    ],
    ids=["OME channels", "OME planes in tiles", "pages", "series in strips", "series in tiles"],
)
def test_several_planes(tmp_path, name, options, coding):
    name = written(tmp_path / name, STACK, **options, **CODINGS[coding])
    for index, plane in enumerate(STACK):
        same(open_plane(f"{name}::{index}"), plane)
        same(open_plane(f"{name}::{index}", tmp_path / "kept"), plane)
        assert planes_shape(f"{name}::{index}") == (150, 211)


@pytest.mark.parametrize("axes", ["CYX", "ZYX", "ZCYX"])
def test_imagej(tmp_path, axes):
    pixels = STACK.reshape(2, 2, 150, 211) if axes == "ZCYX" else STACK
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": axes})
    for index, plane in enumerate(STACK):
        found = open_plane(f"{tmp_path / 'a.tif'}::{index}")
        assert isinstance(found, np.memmap)
        same(found, plane)


def test_pyramid_gives_its_finest_level(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        options = {"tile": (64, 64), "photometric": "minisblack", "compression": "zlib"}
        writer.write(STACK, subifds=1, metadata={"axes": "CYX"}, **options)
        writer.write(STACK[:, ::2, ::2], subfiletype=1, **options)
    same(open_plane(f"{tmp_path / 'a.ome.tif'}::2"), STACK[2])


def test_a_part_of_an_ome_tiff_of_several_files_is_that_file(tmp_path):
    uuids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{k}" for k in range(2)]
    data = "".join(
        f'<TiffData FirstC="{k}" IFD="0" PlaneCount="1"><UUID FileName="{k}.ome.tif">{uuid}</UUID></TiffData>'
        for k, uuid in enumerate(uuids)
    )
    for k, uuid in enumerate(uuids):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">'
            '<Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="211" SizeY="150" SizeZ="1" '
            'SizeC="2" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
            f'<Channel ID="Channel:0:1" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
        )
        written(tmp_path / f"{k}.ome.tif", STACK[k], description=xml, metadata=None)
    for k in range(2):
        same(open_plane(str(tmp_path / f"{k}.ome.tif")), STACK[k])
    (tmp_path / "1.ome.tif").unlink()
    same(open_plane(str(tmp_path / "0.ome.tif")), STACK[0])


@pytest.mark.usefixtures("_bands")
@pytest.mark.parametrize("scratch", [False, True], ids=["memory", "scratch"])
def test_png_and_jpeg(tmp_path, scratch):
    kept = tmp_path / "kept" if scratch else None
    for name, pixels in (("a.png", PLANE), ("b.png", PLANE.astype(np.uint8))):
        Image.fromarray(pixels).save(tmp_path / name)
        same(open_plane(str(tmp_path / name), kept), pixels)
    Image.fromarray(PLANE.astype(np.uint8)).save(tmp_path / "a.jpg")
    same(open_plane(str(tmp_path / "a.jpg"), kept), np.asarray(Image.open(tmp_path / "a.jpg")))
    assert planes_shape(f"{tmp_path / 'a.jpg'}::0") == (150, 211)


def test_tiles_that_the_file_leaves_out_are_zero(tmp_path):
    def tiles():
        yield np.ones((64, 64), np.uint16)
        yield None
        yield np.full((64, 64), 3, np.uint16)
        yield None

    tifffile.imwrite(
        tmp_path / "a.tif", tiles(), shape=(128, 128), dtype=np.uint16, tile=(64, 64), compression="zlib",
        photometric="minisblack",
    )  # fmt: skip
    found = open_plane(str(tmp_path / "a.tif"))
    assert (found[0, 0], found[0, 64], found[64, 0], found[127, 127]) == (1, 0, 3, 0)


def test_a_decoded_plane_is_kept_and_read_again(tmp_path, monkeypatch):
    name, kept = written(tmp_path / "a.tif", STACK, compression="zlib"), tmp_path / "kept"
    same(open_plane(f"{name}::1", kept), STACK[1])
    same(open_plane(f"{name}::2", kept), STACK[2])
    assert len(list(kept.glob("*.npy"))) == len(list(kept.iterdir())) == 2
    monkeypatch.setattr(tiff_planes, "_bands", None)
    same(open_plane(f"{name}::1", kept), STACK[1])


def test_a_changed_file_is_decoded_again(tmp_path):
    kept = tmp_path / "kept"
    name = written(tmp_path / "a.tif", compression="zlib")
    same(open_plane(name, kept), PLANE)
    written(tmp_path / "a.tif", STACK[1], compression="zlib")
    os.utime(name, ns=(1, 1))
    same(open_plane(name, kept), STACK[1])


@pytest.mark.parametrize("spoil", [b"", b"\x93NUMPY", b"nothing of the kind" * 50])
def test_a_damaged_kept_plane_is_made_again(tmp_path, spoil):
    name, kept = written(tmp_path / "a.tif", compression="zlib"), tmp_path / "kept"
    open_plane(name, kept)
    (place,) = kept.iterdir()
    place.write_bytes(spoil)
    same(open_plane(name, kept), PLANE)
    np.save(place, PLANE[:4])
    same(open_plane(name, kept), PLANE)
    place.write_bytes(place.read_bytes()[:-8])
    same(open_plane(name, kept), PLANE)


def test_a_damaged_picture_leaves_nothing_in_scratch(tmp_path):
    name = written(tmp_path / "a.tif", compression="zlib", rowsperstrip=5)
    with tifffile.TiffFile(name) as tiff:
        start = tiff.pages[0].dataoffsets[9]
    data = bytearray(Path(name).read_bytes())
    data[start : start + 20] = bytes(20)
    Path(name).write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tif cannot be decoded .*Copy or export it again"):
        open_plane(name, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_scratch_that_cannot_be_written(tmp_path):
    name = written(tmp_path / "a.tif", compression="zlib")
    (tmp_path / "file").write_text("here")
    with pytest.raises(CacheError, match="cannot be written to .*file.*name another folder"):
        open_plane(name, tmp_path / "file")


def test_nothing_is_decoded_for_a_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_planes, "_bands", None)
    assert planes_shape(written(tmp_path / "a.tif", compression="zlib")) == (150, 211)


def refused(reference, words, error=DataError):
    for call in (open_plane, planes_shape):
        with pytest.raises(error) as raised:
            call(reference)
        assert words in str(raised.value)


def test_missing_file(tmp_path):
    written(tmp_path / "DAPI.tif")
    refused(str(tmp_path / "DAP1.tif"), "DAP1.tif does not exist. Did you mean DAPI.tif?")
    refused(str(tmp_path / "none" / "a.tif"), "does not exist")


def test_number(tmp_path):
    name = written(tmp_path / "a.tif", STACK)
    refused(name, "holds 4 planes (it has the axes QYX of shape (4, 150, 211)), and none is chosen.")
    refused(name, f"Name one: {name}::0 … {name}::3.")
    refused(f"{name}::4", "and number 4 is asked for. Choose from 0 … 3.")
    for wrong in ("-1", "DAPI", ""):
        refused(
            f"{name}::{wrong}", "names no plane. After :: stands the number of a page or channel, from 0."
        )
    Image.fromarray(PLANE).save(tmp_path / "a.png")
    refused(f"{tmp_path / 'a.png'}::1", "holds 1 plane, and number 1 is asked for. Choose from 0 … 0.")


def test_colours(tmp_path):
    colours = np.zeros((30, 40, 3), np.uint8)
    name = written(tmp_path / "a.tif", colours, photometric="rgb")
    refused(name, "is not grey, but written as RGB: it has the axes YXS of shape (30, 40, 3).")
    Image.fromarray(colours).save(tmp_path / "a.png")
    refused(str(tmp_path / "a.png"), "is not grey, but of Pillow's mode RGB. A stain is one plane")
    name = written(tmp_path / "b.tif", photometric="miniswhite")
    refused(name, "is not grey, but written as MINISWHITE")
    name = written(tmp_path / "c.tif", colours[..., :2], planarconfig="contig")
    refused(name, "no planes of numbers: it has the axes YXS")
    name = written(tmp_path / "d.tif", np.zeros((30, 40), np.complex64))
    refused(name, "and type complex64")


def test_neither_jpeg_nor_tiff(tmp_path):
    (tmp_path / "a.tif").write_text("words")
    refused(str(tmp_path / "a.tif"), "is neither JPEG, PNG nor TIFF. Convert it to a grey TIFF.")


def test_a_picture_too_large_to_decode(tmp_path, monkeypatch):
    monkeypatch.setattr(planes, "LIMIT_PX", 1000)
    Image.fromarray(PLANE).save(tmp_path / "a.png")
    refused(str(tmp_path / "a.png"), "at most 0 million are decoded. Convert it to a tiled grey TIFF.")


def test_chunks_too_large_to_decode(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_planes, "CHUNK_PX", 1000)
    name = written(tmp_path / "a.tif", compression="zlib", tile=(64, 48))
    refused(name, "is compressed in chunks of 48 × 64 px, too large to be read. Convert it")


def test_missing_decoder(tmp_path, monkeypatch):
    name = written(tmp_path / "a.tif", compression="lzw")
    monkeypatch.setattr(tiff_coding, "_decoded", lambda *_: False)
    monkeypatch.setattr(tiff_coding, "find_spec", lambda _: None)
    refused(name, "imagecodecs is not installed", MissingExtraError)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_short_is_refused(tmp_path, layout, coding):
    name = written(tmp_path / "a.tif", **LAYOUTS[layout], **CODINGS[coding])
    data = Path(name).read_bytes()
    for share in (0.5, 0.9, 1.0):
        Path(name).write_bytes(data[: int(len(data) * share) - 50])
        with pytest.raises(DataError, match=r"a\.tif (is cut short|cannot be decoded|holds no)"):
            open_plane(name)


def test_a_list_of_tiles_that_is_too_short(tmp_path):
    name = written(tmp_path / "a.tif", compression="zlib", rowsperstrip=10)
    with tifffile.TiffFile(name, mode="r+") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(151)
    with pytest.raises(DataError, match="lists 15 of 16 tiles or strips"):
        open_plane(name)


@pytest.mark.parametrize("coding", CODINGS)
def test_damage_anywhere_raises_no_other_error(tmp_path, coding):
    rng = np.random.default_rng(5)
    name = written(tmp_path / "a.tif", PLANE[:40, :50], tile=(32, 32), **CODINGS[coding])
    whole = Path(name).read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 600), 3):
            data[at] = rng.integers(256)
        Path(name).write_bytes(data)
        try:
            found = open_plane(name)
        except TriptychError:
            continue
        assert found.ndim == 2


@pytest.mark.data
def test_stains_of_merscope(real_data, tmp_path):
    for path in sorted((real_data / "merscope" / "input_images").glob("*_z3.tif")):
        found = open_plane(str(path), tmp_path)
        assert (found.shape, found.dtype) == ((512, 512), np.uint16)
        np.testing.assert_array_equal(found, tifffile.imread(path))
