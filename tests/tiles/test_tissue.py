"""The mean colour of each patch of a grid, against means taken naively over all pixels."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from triptych.core.errors import DataError
from triptych.tiles import tissue
from triptych.tiles.slide import array_slide, coarser_levels
from triptych.tiles.tissue import patch_means, tissue_mask

HEIGHT, WIDTH = 520, 700


@pytest.fixture(scope="module")
def picture():
    """Light ground with a dark disc, all in soft steps, and some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    depth = 130 * np.clip((200 - np.hypot(y - 250, x - 330)) / 30, 0, 1)
    light = 240 - depth[..., None] * (0.5, 1.0, 0.6) + rng.normal(0, 5, (HEIGHT, WIDTH, 3))
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def naive(pixels, x_edges, y_edges):
    """Each pixel by the part of it that lies in the patch."""
    grey = pixels.mean(axis=2)
    means = np.zeros((len(y_edges) - 1, len(x_edges) - 1))
    y, x = np.arange(grey.shape[0]), np.arange(grey.shape[1])
    for i in range(means.shape[0]):
        down = np.maximum(0, np.minimum(y_edges[i + 1], y + 1) - np.maximum(y_edges[i], y))
        for j in range(means.shape[1]):
            across = np.maximum(0, np.minimum(x_edges[j + 1], x + 1) - np.maximum(x_edges[j], x))
            means[i, j] = down @ grey @ across / (down.sum() * across.sum())
    return means


def edges(side, start_x=0.0, start_y=0.0):
    columns, rows = int((WIDTH - start_x) // side), int((HEIGHT - start_y) // side)
    return start_x + side * np.arange(columns + 1), start_y + side * np.arange(rows + 1)


@pytest.mark.parametrize("side", [20.0, 31.5, 17.3, 130.0, 520.0])
@pytest.mark.parametrize("layout", [{}, {"tile": (64, 128)}, {"rowsperstrip": 7}])
def test_against_a_loop(tmp_path, picture, side, layout):
    path = tmp_path / "a.tif"
    packed = {"compression": "zlib", **layout} if layout else {}
    tifffile.imwrite(path, picture, photometric="rgb", **packed)
    x, y = edges(side, 5.5, 0.0)
    assert np.allclose(patch_means(str(path), x, y), naive(picture, x, y), atol=1e-3)


@pytest.mark.parametrize("piece_px", [1, 5000, 2**22])
def test_the_size_of_the_pieces_is_of_no_consequence(tmp_path, picture, piece_px, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", tile=(32, 32), compression="zlib")
    monkeypatch.setattr(tissue, "PIECE_PX", piece_px)
    x, y = edges(23.7, 3.2, 9.9)
    assert np.allclose(patch_means(str(path), x, y), naive(picture, x, y), atol=1e-3)


def test_a_patch_smaller_than_what_is_read_is_read_as_it_is(tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    x, y = edges(3.0)
    x, y = x[:20], y[50:90]
    assert np.allclose(patch_means(str(path), x, y), naive(picture, x, y), atol=1e-3)


@pytest.mark.parametrize("side", [40.0, 65.0, 130.0, 259.0])
def test_a_jpeg_is_decoded_small_and_has_the_same_means(tmp_path, picture, side, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture).save(path, quality=95)
    whole = np.asarray(Image.open(path))
    monkeypatch.setattr(tissue, "open_slide", lambda _: pytest.fail("it was decoded whole"))
    x, y = edges(side, 4.0, 8.0)
    found = patch_means(str(path), x, y)
    assert np.abs(found - naive(whole, x, y)).max() < 0.5


def test_a_level_that_is_just_fine_enough_is_read(tmp_path, picture, monkeypatch):
    halves = [picture[::step, ::step].copy() for step in (2, 4, 8)]
    slide = coarser_levels(array_slide(picture), [array_slide(half) for half in halves])
    read = []
    monkeypatch.setattr(tissue, "open_slide", lambda _: slide)
    monkeypatch.setattr(
        tissue, "_pieces", lambda level, *cuts: read.append(level.shape_px) or iter(()), raising=True
    )
    patch_means("any", *edges(70.0))  # 70 / 16 = 4.4: every fourth pixel will do
    patch_means("any", *edges(31.0))  # less than 2
    assert read == [halves[1].shape[:2], picture.shape[:2]]


def test_the_mask_is_the_rule(tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    x, y = edges(26.0)
    for limit in (200.0, 150.0):
        mask = tissue_mask(str(path), x, y, background_above=limit)
        assert np.array_equal(mask, naive(picture, x, y) <= limit)
    assert tissue_mask(str(path), x, y).sum() > mask.sum() > 10


def test_a_mean_at_the_limit_is_tissue(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((40, 40, 3), 200, np.uint8)).save(path)
    where = np.array([0.0, 20.0, 40.0])
    assert tissue_mask(str(path), where, where).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_blank_slide(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.full((200, 200, 3), 244, np.uint8)).save(path)
    where = np.arange(0, 201, 50.0)
    with pytest.raises(
        DataError, match="no tissue: of 16 patches even the darkest has a mean.* 244, above 200"
    ):
        tissue_mask(str(path), where, where)


def test_a_limit_out_of_range():
    with pytest.raises(ValueError, match="from 0 to 255, got 300"):
        tissue_mask("any", np.arange(3), np.arange(3), background_above=300)


def test_a_jpeg_cut_short(tmp_path, picture):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match="damaged"):
        patch_means(str(path), *edges(100.0))


def test_a_grey_jpeg(tmp_path, picture):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture[..., 0]).save(path)
    with pytest.raises(DataError, match="not RGB but of Pillow's mode L"):
        patch_means(str(path), *edges(100.0))


def test_a_tiff_cut_short(tmp_path, picture):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", tile=(64, 64), compression="zlib")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short|cannot be decoded"):
        patch_means(str(path), *edges(100.0))
